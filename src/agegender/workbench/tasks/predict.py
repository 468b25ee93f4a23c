"""Predict images with compiled nets on one or more devices: one JSON object per image and device, printed at once."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

from agegender.errors import AgeGenderError
from agegender.inference import image_files, open_nets, output_formats, predict
from agegender.inference.faces import framing
from caffe.errors import CaffeError


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Print the predictions and return their number."""
    nets_folder = [_prepared(net) for net in values["nets"]]
    finder = _detector() if values.get("detect") else None
    count = 0
    with contextlib.ExitStack() as stack:
        predictors: list[tuple[str, Any]] = []
        for device in values["devices"]:
            try:
                predictors.append((device, stack.enter_context(_predictor(nets_folder, device, finder))))
            except CaffeError as error:
                _print({"device": device, "error": str(error)})
        if not predictors:
            raise AgeGenderError("no device could open the nets")
        for number, image in enumerate(values["images"]):
            for device, predictor in predictors:
                _print({"number": number, "image": image["name"], "device": device, **_one(predictor, image["path"])})
                count += 1
    return {"done": count}


def _prepared(net: dict[str, str]) -> tuple[str, list[str]]:
    """Return (folder, names) of nets; packaged ones are compiled at their first use."""
    if "zoo" not in net:
        return net["folder"], [net["name"]]
    from agegender.zoo.compile import ensure_compiled

    with contextlib.redirect_stdout(sys.stderr):
        return net["folder"], ensure_compiled([net["zoo"]], net["folder"], lambda text: print(text, file=sys.stderr))


def _predictor(nets: list[tuple[str, list[str]]], device: str, finder: Any) -> Any:
    opened = [net for folder, names in nets for net in open_nets.open_nets(names, folder, device)]
    return predict.FacePredictor(opened, finder, batch=1, check=None if finder else framing.default_check())


def _detector() -> Any:
    from agegender.inference.faces.detect import THRESHOLD, Detector

    return Detector(THRESHOLD, None).find


def _one(predictor: Any, path: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        result = predictor.predict_array(image_files.read_image(path), path)
    except CaffeError as error:
        return {"error": str(error).replace(path, "the image")}
    height, width = result.image.shape[:2]
    faces = [_face(prediction, predictor) for prediction in result.predictions]
    warnings = [warning.replace(path, "the image") for warning in result.warnings]
    return {
        "width": width,
        "height": height,
        "faces": faces,
        "warnings": warnings,
        "milliseconds": round(1e3 * (time.perf_counter() - began), 2),
    }


def _face(prediction: Any, predictor: Any) -> dict[str, Any]:
    labels = {net.output_name: list(net.labels.names) for net in predictor.nets}
    outputs = output_formats.answers(prediction)
    for name, output in outputs.items():
        rows = sorted(zip(output.pop("probabilities"), labels[name]), reverse=True)[:5]
        output["top"] = [{"class": text, "probability": round(value, 6)} for value, text in rows]
    box = None if prediction.face is None else [int(value) for value in prediction.face.box]
    seconds = {name: round(1e3 * value, 3) for name, value in prediction.seconds.items()}
    return {"box": box, "answers": outputs, "milliseconds": seconds}


def _print(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)
