#!/usr/bin/env python3
"""Answers pictures on a board: `python3 run_inference.py PICTURE ...` (a copy of this file is in every bundle).

Needs numpy, OpenCV and the board's OpenVINO (2021.4, 2022.1 or newer) or mvnc. Valid Python 3.7.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main(argv=None):
    """Parse the command line and answer; returns the exit status."""
    from caffe.errors import CaffeError

    parser = argparse.ArgumentParser(prog="run_inference.py", description=__doc__.split("\n")[0])
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="aligned faces (or see --detect), folders or globs"
    )
    parser.add_argument("--model-dir", default=os.path.join(HERE, "graph"), metavar="DIR", help="folder of the nets")
    parser.add_argument(
        "--device", default="", help="MYRIAD, MVNC, CPU ... (default: a stick if one is there, else CPU)"
    )
    parser.add_argument(
        "--detect", action="store_true", help="find the faces: pictures are photographs (OpenCV 4.8 or newer)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture or face")
    args = parser.parse_args(argv)
    try:
        answer(args)
    except CaffeError as error:
        print(f"run_inference.py: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def answer(args):
    """Print what every net says of every picture, or of every face in it."""
    from agegender.errors import AgeGenderError
    from agegender.inference import predict
    from ncs.runtime.manifest import Manifest

    paths = sorted(glob.glob(os.path.join(glob.escape(args.model_dir), "*.json")))
    if not paths:
        raise AgeGenderError(f"{args.model_dir}: no net is there (NAME.json)")
    manifests = [Manifest.read(path) for path in paths]
    pictures = predict.find_images(args.pictures)
    heads = [predict.NetPredictor(manifest, open_net(manifest, args.device)) for manifest in manifests]
    try:
        told = faces(pictures, heads) if args.detect else predict.predict_pictures(pictures, heads)
        for prediction in told:
            show(prediction, args.json)
    finally:
        sys.stdout.flush()
        close_runners([head.runner for head in heads])


def faces(pictures, heads):
    """Yield a Prediction for each face of each photograph; say where there is none, and fail if there is none at all."""
    from agegender.inference import detect, predict

    find, count = detect.Detector().find, 0
    for picture, told in zip(pictures, predict.predict_photographs(pictures, heads, find)):
        if not told:
            print(f"{picture}: no face was found", file=sys.stderr)
        count += len(told)
        yield from told
    if not count:
        raise predict.failure(predict.NO_FACE, "no face was found in any picture")


def open_net(manifest, device):
    """A runner; OpenVINO 2021.4, which has no Core of today's kind, runs other devices through its own library, too."""
    from ncs import runtime

    device = device or device_here()
    if device.split(".")[0] in ("CPU", "GPU") and old_openvino():
        from ncs.runtime.myriad import Myriad

        return Myriad(manifest, device)
    runner = runtime.open_runner(device, manifest)
    if "simulated" in runner.device:
        print(f"{manifest.name}: simulated, the blob runs on this machine and no stick does", file=sys.stderr)
    return runner


_kept = []


def close_runners(runners):
    """Close those of sticks; others end with the process (see `leave`): OpenVINO 2022.1 was seen to fail in closing, too.

    They are kept until then, since what nothing refers to any more is closed as well.
    """
    _kept.extend(runners)
    for runner in runners:
        if any(stick in runner.device.upper() for stick in ("MYRIAD", "MVNC")):  # HETERO:MYRIAD,CPU too
            runner.close()


def device_here():
    """A stick that is plugged in, else the CPU."""
    from ncs import runtime

    return runtime.default_device()[0]


def old_openvino():
    """Whether the OpenVINO that is installed is 2021.4 or older."""
    from ncs.runtime.telemetry import import_openvino

    try:
        openvino = import_openvino()
    except ImportError:
        return False
    if hasattr(openvino, "Core"):
        return False
    import importlib.util

    return importlib.util.find_spec("openvino.runtime") is None


def show(prediction, as_json):
    """One line a net, or one JSON object a picture; of a face in a photograph its box as well."""
    if as_json:
        nets = {
            name: {"answer": found.text, "probability": found.probability, "probabilities": found.probabilities}
            for name, found in prediction.answers.items()
        }
        where = {"box": prediction.face.box, "score": prediction.face.score} if prediction.face else {}
        print(json.dumps({"picture": prediction.path, **where, "answers": nets}))
        return
    if prediction.face:
        print("%s: face at %d %d %d %d" % ((prediction.path,) + tuple(prediction.face.box)))
    for name, found in prediction.answers.items():
        print(f"{prediction.path}: {name}: {found.text}, {100 * found.probability:.2f}%")


def leave(status):
    """End without unloading libraries: OpenVINO 2022.1 was seen to bring the process down there, all answers being out."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
