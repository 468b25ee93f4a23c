"""Weights and activations of every layer as images, histograms and statistics."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.workbench.tasks.evaluate import open_net

BINS, TILES, MAX_WIDTH = 40, 64, 720
FP16_MAX = 65504.0


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return {"layers": {name: {"weights": [...], "activations": [...]}}}, each with statistics, histogram and a PNG.

    One request describes all layers, so that the step from one to the next costs nothing.
    """
    net, transform = open_net(values["net"], values["weights"])
    key = b""
    if values.get("database"):
        key, planes = _record(values["database"], bytes.fromhex(values["key"]))
        source = net.inputs[0]
        net.blobs[source].reshape(1, *net.blobs[source].shape[1:])
        net.blobs[source].data[...] = transform.image(np.ascontiguousarray(planes.transpose(1, 2, 0)))[None]
    layers = {}
    for number, node in enumerate(net.nodes):
        shown: dict[str, Any] = {"type": node.layer.type, "activations": []}
        shown["weights"] = [describe(np.array(blob.data)) for blob in net.params.get(node.layer.name, ())]
        if key:  # one layer at a time: a later one may write in place
            net.forward_range(number, number, record=False)
            shown["activations"] = [{"name": top, **describe(np.array(net.blobs[top].data)[0])} for top in node.tops]
        layers[node.layer.name] = shown
    return {"layers": layers, "key": key.hex()}


def _record(database: str, key: bytes) -> tuple[bytes, np.ndarray]:
    """Return the record with a key, or the first one."""
    from caffe.data import datum
    from caffe.data.db import open_db

    with open_db(database) as db:
        for found, value in db:
            if not key or found == key:
                return found, datum.decode(value)[0]
    raise AgeGenderError("no such record")


def describe(array: np.ndarray) -> dict[str, Any]:
    """Return shape, statistics, histogram and picture of an array."""
    finite = array[np.isfinite(array)].astype(np.float64)
    counts, edges = np.histogram(finite, BINS) if finite.size else (np.zeros(BINS, int), np.zeros(BINS + 1))
    magnitude = np.abs(finite)
    return {
        "shape": list(array.shape),
        "count": int(array.size),
        "mean": float(finite.mean()) if finite.size else None,
        "std": float(finite.std()) if finite.size else None,
        "min": float(finite.min()) if finite.size else None,
        "max": float(finite.max()) if finite.size else None,
        "zero": float((finite == 0).mean()) if finite.size else None,
        "not_finite": int(array.size - finite.size),
        "fp16_overflow": int((magnitude > FP16_MAX).sum()),
        "fp16_zero": int(((magnitude > 0) & (magnitude < 2.0**-25)).sum()),
        "histogram": counts.tolist(),
        "edges": [float(edges[0]), float(edges[-1])],
        "png": base64.b64encode(picture(array)).decode(),
    }


def picture(array: np.ndarray) -> bytes:
    """Return an array as PNG: its first TILES maps as grey tiles, filters over three channels in colour."""
    tiles = _tiles(np.nan_to_num(array.astype(np.float32)))
    low, high = float(tiles.min()), float(tiles.max())
    pixels = ((tiles - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    columns = max(1, min(len(pixels), MAX_WIDTH // (pixels.shape[2] + 1), int(np.ceil(np.sqrt(len(pixels)) * 1.5))))
    rows = -(-len(pixels) // columns)
    height, width = pixels.shape[1] + 1, pixels.shape[2] + 1
    sheet = np.full((rows * height, columns * width, *pixels.shape[3:]), 128, np.uint8)
    for number, tile in enumerate(pixels):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height - 1, left : left + width - 1] = tile
    factor = max(1, min(6, 360 // max(1, sheet.shape[1])))
    sheet = cv2.resize(sheet, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return bytes(cv2.imencode(".png", sheet)[1])


def _tiles(array: np.ndarray) -> np.ndarray:
    """Return (N, H, W) or (N, H, W, 3): filters, feature maps, or one map of a vector or matrix."""
    if not array.ndim:
        array = array.reshape(1)
    if array.ndim == 4 and array.shape[1] == 3:
        return array[:TILES].transpose(0, 2, 3, 1)
    if array.ndim == 4:
        return array.reshape(-1, *array.shape[2:])[:TILES]
    if array.ndim == 3:
        return array[:TILES]
    if array.ndim == 2:
        return array[None, :256, :MAX_WIDTH]
    if array.ndim == 1:
        return np.repeat(array[None, None, :MAX_WIDTH], 12, 1)
    return array.reshape(-1, array.shape[-2], array.shape[-1])[:TILES]
