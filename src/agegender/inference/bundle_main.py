#!/usr/bin/env python3
"""Predict on the target device: `python3 run_inference.py IMAGE ...` (every bundle contains a copy of this file).

Needs numpy, OpenCV and either OpenVINO (2021.4, 2022.1 or newer) or mvnc. Must stay valid Python 3.7.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from agegender.inference.predict import NetPredictor, Prediction
    from ncs.runtime.base import Runner
    from ncs.runtime.manifest import Manifest

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    from caffe.errors import CaffeError

    parser = argparse.ArgumentParser(prog="run_inference.py", description=__doc__.split("\n")[0])
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="images of aligned faces (or see --detect), folders or globs"
    )
    parser.add_argument("--model-dir", default=os.path.join(HERE, "graph"), metavar="DIR", help="folder of the nets")
    parser.add_argument(
        "--device", default="", help="MYRIAD, MVNC, CPU ... (default: a stick if one is plugged in, else CPU)"
    )
    parser.add_argument(
        "--detect", action="store_true", help="detect the faces in photographs (needs OpenCV 4.8 or newer)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per image or face")
    args = parser.parse_args(argv)
    try:
        print_predictions(args)
    except CaffeError as error:
        print(f"run_inference.py: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def print_predictions(args: argparse.Namespace) -> None:
    """Print the prediction of every net for every image, or for every face in it."""
    from agegender.errors import AgeGenderError
    from agegender.inference import predict
    from ncs.runtime.manifest import Manifest

    paths = sorted(glob.glob(os.path.join(glob.escape(args.model_dir), "*.json")))
    if not paths:
        raise AgeGenderError(f"{args.model_dir}: contains no compiled net (NAME.json)")
    manifests = [Manifest.read(path) for path in paths]
    images = predict.find_images(args.images)
    predictors = [predict.NetPredictor(manifest, open_net(manifest, args.device)) for manifest in manifests]
    try:
        predictions = faces(images, predictors) if args.detect else predict.predict_pictures(images, predictors)
        for prediction in predictions:
            show(prediction, args.json)
    finally:
        sys.stdout.flush()
        close_runners([predictor.runner for predictor in predictors])


def faces(images: list[str], predictors: list[NetPredictor]) -> Iterator[Prediction]:
    """Yield a Prediction for each face of each photograph; warn about images without faces, fail if all are."""
    from agegender.inference import detect, predict

    find, count = detect.Detector().find, 0
    for image, predictions in zip(images, predict.predict_photographs(images, predictors, find)):
        if not predictions:
            print(f"{image}: no face was found", file=sys.stderr)
        count += len(predictions)
        yield from predictions
    if not count:
        raise predict.failure(predict.NO_FACE, "no face was found in any image")


def open_net(manifest: Manifest, device: str) -> Runner:
    """Open a runner; OpenVINO 2021.4 has no `openvino.Core`, so its CPU and GPU go through its C library."""
    from ncs import runtime

    device = device or default_device()
    if device.split(".")[0] in ("CPU", "GPU") and old_openvino():
        from ncs.runtime.myriad import Myriad

        return Myriad(manifest, device)
    return runtime.open_runner(device, manifest)


_kept = []


def close_runners(runners: list[Runner]) -> None:
    """Close the runners of sticks; the others live until the process exits.

    OpenVINO 2022.1 sometimes crashes when other devices are closed or garbage-collected, so references are kept.
    """
    _kept.extend(runners)
    for runner in runners:
        if any(stick in runner.device.upper() for stick in ("MYRIAD", "MVNC")):  # also in HETERO:MYRIAD,CPU
            runner.close()


def default_device() -> str:
    """A stick if one is plugged in, else CPU."""
    from ncs import runtime

    return runtime.default_device()[0]


def old_openvino() -> bool:
    """Whether the installed OpenVINO is 2021.4 or older."""
    from ncs.runtime.telemetry import import_openvino

    try:
        openvino = import_openvino()
    except ImportError:
        return False
    if hasattr(openvino, "Core"):
        return False
    import importlib.util

    return importlib.util.find_spec("openvino.runtime") is None


def show(prediction: Prediction, as_json: bool) -> None:
    """Print one line per net, or one JSON object per image; with the box of a detected face."""
    if as_json:
        nets = {
            name: {"answer": output.text, "probability": output.probability, "probabilities": output.probabilities}
            for name, output in prediction.answers.items()
        }
        face = {"box": prediction.face.box, "score": prediction.face.score} if prediction.face else {}
        print(json.dumps({"image": prediction.path, **face, "answers": nets}))
        return
    if prediction.face:
        print(f"{prediction.path}: face at {' '.join(map(str, prediction.face.box))}")
    for name, output in prediction.answers.items():
        print(f"{prediction.path}: {name}: {output.text}, {100 * output.probability:.2f}%")


def exit_without_unloading(status: int) -> NoReturn:
    """Exit without unloading libraries, because OpenVINO 2022.1 sometimes crashes there."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    exit_without_unloading(main())
