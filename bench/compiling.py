#!/usr/bin/env python3
"""Seconds from prototxt and caffemodel of AgeNet to an IR: `ncs compile`'s road, and the Model Optimizer of 2021.4.2."""

import sys
import tempfile
from pathlib import Path

import harness
import models
import peers
import startup

OURS = """
import sys
from ncs import compile as compiler
from caffe.transform import Transform
stem, target = sys.argv[1:]
model = compiler.Model("AgeNet", stem + ".prototxt", stem + ".caffemodel", Transform(), [str(i) for i in range(9)])
compiler.compile_models([(model, target)], compiler.Options(blob=False), say=lambda *_: None)
"""


def main():
    args = harness.arguments(__doc__, rounds=3).parse_args()
    optimizer, why = peers.python("model-optimizer")
    with tempfile.TemporaryDirectory() as folder:
        stem = models.prepare(folder)["AgeNet"]
        cases = [startup.row("this house (ONNX and IR)", [sys.executable, "-c", OURS, stem, stem + "_again"], args.rounds)]
        if optimizer:
            command = [Path(optimizer).parent / "mo", "--input_model", stem + ".caffemodel",
                       "--input_proto", stem + ".prototxt", "--output_dir", folder, "--model_name", "mo"]  # fmt: skip
            cases.append(startup.row("Model Optimizer 2021.4.2", command, args.rounds))
    harness.save("compiling", cases=cases, missing=[] if optimizer else [harness.absent("model-optimizer", why)])


if __name__ == "__main__":
    main()
