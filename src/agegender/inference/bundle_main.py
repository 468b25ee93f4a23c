#!/usr/bin/env python3
"""Predict age and gender on the target device: `python3 run_inference.py IMAGE ...`.

Every bundle holds a copy of this file. Needs numpy, OpenCV and the device's OpenVINO (2021.4, 2022.1 or newer) or mvnc.
Valid Python 3.7.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

PACKAGES = {"cv2": "opencv-python-headless", "numpy": "numpy"}  # module -> its name for pip
HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, predict, and return the exit status."""
    from caffe.errors import CaffeError

    parser = argparse.ArgumentParser(prog="run_inference.py", description=__doc__.split("\n")[0])
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="aligned faces (or see --detect), directories or globs"
    )
    parser.add_argument("--model-dir", default=os.path.join(HERE, "graph"), metavar="DIR", help="directory of the nets")
    parser.add_argument("--device", default="", help="MYRIAD, MVNC, CPU ... (default: a stick if plugged in, else CPU)")
    parser.add_argument(
        "--detect", action="store_true", help="detect the faces: the images are photographs (OpenCV 4.8 or newer)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per image or face")
    args = parser.parse_args(argv)
    try:
        run(args)
    except CaffeError as error:
        print(f"run_inference.py: error: {error}", file=sys.stderr)
        return error.exit_status
    except ImportError as error:  # a module of the device: cv2, numpy
        if error.name is None or error.name.split(".")[0] not in PACKAGES:
            raise
        package = PACKAGES[error.name.split(".")[0]]
        print(f"run_inference.py: error: {error}; install it with `pip install {package}`", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    """Print what every net predicts for every image, or for every face in it."""
    from agegender.errors import AgeGenderError
    from agegender.inference import image_files, net_predictor, predict
    from agegender.inference.faces import detect, framing
    from ncs.runtime.manifest import Manifest

    paths = sorted(glob.glob(os.path.join(glob.escape(args.model_dir), "*.json")))
    if not paths:
        raise AgeGenderError(f"{args.model_dir}: no net is there (NAME.json)")
    manifests = [Manifest.read(path) for path in paths]
    images = image_files.find_images(args.images)
    nets = [
        net for manifest in manifests for net in net_predictor.open_heads(manifest, open_net(manifest, args.device))
    ]
    find = detect.Detector().find if args.detect else None
    check = None if args.detect else framing.default_check()
    predictor = predict.FacePredictor(nets, find, batch=4 if args.detect else 16, check=check)
    try:
        for prediction in predictions(predictor, images):
            show(prediction, args.json)
    finally:
        sys.stdout.flush()
        close_runners(list({id(net.runner): net.runner for net in nets}.values()))


def predictions(predictor: Any, images: Sequence[str]) -> Iterator[Any]:
    """Yield a Prediction per face; report images without one, and fail if there is no face at all."""
    from agegender.inference import image_files

    count = 0
    for result in predictor.predict(images):
        for warning in result.warnings:
            print(f"{result.path}: warning: {warning}", file=sys.stderr)
        if not result.predictions:
            print(f"{result.path}: no face was found", file=sys.stderr)
        count += len(result.predictions)
        yield from result.predictions
    if not count:
        raise image_files.failure(image_files.NO_FACE, "no face was found in any image")


def open_net(manifest: Any, device: str) -> Any:
    """Return a runner; OpenVINO 2021.4 runs other devices through its own older interface."""
    from ncs import runtime

    device = device or default_device()
    if device.split(".")[0] in ("CPU", "GPU") and old_openvino():
        from ncs.runtime.myriad import Myriad

        return Myriad(manifest, device)
    runner = runtime.open_runner(device, manifest)
    if "simulated" in runner.device:
        print(f"{manifest.name}: simulated, the blob runs on this machine and no stick does", file=sys.stderr)
    return runner


_open_runners: list[Any] = []


def close_runners(runners: Sequence[Any]) -> None:
    """Close the runners of sticks; the others live until the process ends, since OpenVINO 2022.1 can crash on closing.

    They are kept referenced: an unreferenced runner would be closed as well.
    """
    _open_runners.extend(runners)
    for runner in runners:
        if any(stick in runner.device.upper() for stick in ("MYRIAD", "MVNC")):  # HETERO:MYRIAD,CPU too
            runner.close()


def default_device() -> str:
    """Return a stick that is plugged in, else the CPU."""
    from ncs import runtime

    return runtime.default_device()[0]


def old_openvino() -> bool:
    """Return whether the installed OpenVINO is 2021.4 or older."""
    from caffe.utils.telemetry import import_openvino

    try:
        openvino = import_openvino()
    except ImportError:
        return False
    if hasattr(openvino, "Core"):
        return False
    import importlib.util

    return importlib.util.find_spec("openvino.runtime") is None


def show(prediction: Any, as_json: bool) -> None:
    """Print one line per net, or one JSON object per face; with its box if it was detected."""
    from agegender.inference import output_formats

    if as_json:
        box = {"box": prediction.face.box, "score": prediction.face.score} if prediction.face else {}
        print(json.dumps(dict(box, image=prediction.path, answers=output_formats.answers(prediction))))
        return
    if prediction.face:
        left, top, right, bottom = prediction.face.box
        print(f"{prediction.path}: face at {left} {top} {right} {bottom}")
    for name, output in prediction.answers.items():
        print(f"{prediction.path}: {name}: {output.text}, {100 * output.probability:.2f}%")


def leave(status: int) -> None:
    """Exit without unloading libraries: OpenVINO 2022.1 can crash there, after all predictions are printed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
