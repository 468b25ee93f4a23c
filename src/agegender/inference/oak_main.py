#!/usr/bin/env python3
"""Predict age and gender of the faces that an OAK camera sees: `python3 oak_camera.py`.

The nets run on the camera; the faces are detected and cropped on the host, as in training. Every bundle for OAK cameras
holds a copy of this file. Needs numpy, OpenCV 4.8 or newer and depthai 3 or 2. Valid Python 3.7.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main(argv: Sequence[str] | None = None, api: Any = None) -> int:
    """Parse the command line, predict until the last frame, and return the exit status."""
    from caffe.errors import CaffeError

    parser = argparse.ArgumentParser(prog="oak_camera.py", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="OAK", help="OAK.<id or IP address> (default: the first camera)")
    parser.add_argument("--model-dir", default=os.path.join(HERE, "graph"), metavar="DIR", help="directory of the nets")
    parser.add_argument("--size", nargs=2, type=int, default=(640, 480), metavar=("W", "H"), help="size of the frames")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop after N frames (default: never)")
    parser.add_argument("--output", metavar="FILE", help="write the latest labelled frame to this image file")
    parser.add_argument("--json", action="store_true", help="print one JSON object per frame")
    args = parser.parse_args(argv)
    try:
        run(args, api)
    except CaffeError as error:
        print(f"oak_camera.py: error: {error}", file=sys.stderr)
        return error.exit_status
    except ImportError as error:
        print(f"oak_camera.py: error: {error}; run `pip install opencv-python-headless depthai`", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(args: argparse.Namespace, api: Any = None) -> None:
    """Open the camera with all nets in one pipeline, and print the predictions of every frame."""
    from agegender.inference import annotate, net_predictor, predict
    from agegender.inference.faces import detect
    from ncs.runtime import oak

    manifests = read_manifests(args.model_dir)
    session = oak.open_session(args.device, api)
    try:
        nets = [
            net
            for manifest in manifests
            for net in net_predictor.open_heads(manifest, oak.Oak(manifest, session=session))
        ]
        camera = session.add_camera(tuple(args.size))
        session.ensure_started()
        predictor = predict.FacePredictor(nets, detect.Detector().find, batch=1)
        for number, frame in enumerate(oak.frames(camera, args.frames)):
            began = time.perf_counter()
            result = predictor.predict_array(frame, f"frame {number}")
            show(result, time.perf_counter() - began, args.json)
            if args.output:
                annotate.write(args.output, annotate.draw_result(result, True), "")
    finally:
        session.close()


def read_manifests(folder: str) -> list[Any]:
    """Return the manifests of a directory."""
    from agegender.errors import AgeGenderError
    from ncs.runtime.manifest import Manifest

    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*.json")))
    if not paths:
        raise AgeGenderError(f"{folder}: no net is there (NAME.json)")
    return [Manifest.read(path) for path in paths]


def show(result: Any, seconds: float, as_json: bool) -> None:
    """Print the faces of a frame: one line each, or one JSON object."""
    from agegender.inference import output_formats

    if as_json:
        print(output_formats.photograph_json(result), flush=True)
        return
    print(f"{result.path}: {len(result.predictions)} faces, {1e3 * seconds:.1f} ms", flush=True)
    for prediction in result.predictions:
        left, top, right, bottom = prediction.face.box
        texts = (f"{output.text} {100 * output.probability:.1f}%" for output in prediction.answers.values())
        print(f"  face at {left} {top} {right} {bottom}: {', '.join(texts)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
