"""Occlusion map (Zeiler and Fergus 2014): how much the probability of the prediction drops when a part is covered."""

from __future__ import annotations

from typing import Any

import numpy as np

from agegender.inference import image_files, open_nets, predict
from agegender.workbench.tasks.predict import _detector, _prepared

GRID = 12  # places of the patch along each side
PATCH = 0.25  # side of the patch as a fraction of the input's


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return a map for each net: the drop for each place of the patch, row by row."""
    image = image_files.read_image(values["images"][0]["path"])
    maps = []
    for net_values in values["nets"]:
        folder, names = _prepared(net_values)
        nets = open_nets.open_nets(names, folder, "CPU")
        with predict.FacePredictor(nets, _detector() if values.get("detect") else None) as predictor:
            faces = predictor.find(image) if predictor.find else [None]
            if not len(faces):
                return {"maps": [], "error": "no face was found"}
            blobs = predictor._blobs(image, faces[0])
            for net, blob in zip(nets, blobs):
                maps.append({"net": net.name, **occlusion(net, blob)})
    return {"maps": maps, "grid": GRID}


def occlusion(net: Any, blob: np.ndarray) -> dict[str, Any]:
    """Return label, probability and map of one net for an input blob (C, H, W).

    The patch has the blob's mean in each channel, so that it is neither an edge nor a colour that the net knows.
    """
    whole = net.probabilities(blob[None])[0].ravel()
    best = int(whole.argmax())
    height, width = blob.shape[1:]
    side_y, side_x = max(1, round(PATCH * height)), max(1, round(PATCH * width))
    mean = blob.mean((1, 2))
    rows = []
    for top in np.linspace(0, height - side_y, GRID).round().astype(int):
        row = []
        for left in np.linspace(0, width - side_x, GRID).round().astype(int):
            covered = blob.copy()
            covered[:, top : top + side_y, left : left + side_x] = mean[:, None, None]
            row.append(round(float(whole[best] - net.probabilities(covered[None])[0].ravel()[best]), 6))
        rows.append(row)
    output = net.output(whole)
    return {"label": output.text, "probability": float(whole[best]), "map": rows}
