#!/usr/bin/env python3
"""`ncs compile` from caffemodel to blob, compared with the compiler alone on the same ONNX file: time and memory."""

import subprocess
import sys
import tempfile
from pathlib import Path

import _harness
from compiling import NCS, lap

ROOT = _harness.HERE.parent
NETS = {
    "AgeNet": "AgeNet_deploy.prototxt",
    "GoogLeNet": "googlenet/deploy.prototxt",
    "SqueezeNet": "squeezenet/deploy.prototxt",
    "ResNet-50": "resnet50/deploy.prototxt",
    "VGG-16": "vgg16/deploy.prototxt",
}
PREPARE = """
import sys, models
from caffe.device.transform import Transform
from ncs.compiler import compile
net, prototxt, stem = sys.argv[1:]
models.write_weights(prototxt, stem + ".caffemodel")
model = compile.Model(net, prototxt, stem + ".caffemodel", Transform(size=None), [], "")
compile.compile_models([(model, stem)], compile.Options(blob=False, ir=False), say=lambda *_: None)
"""
ALONE = "import sys; from ncs.myriad import compiler; compiler.compile_blob(sys.argv[1], sys.argv[2])"


def main():
    args = _harness.arguments(__doc__, rounds=3).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [measure(folder, net, args.rounds) for net in NETS if args.only in net]
    _harness.save("compiling_nets", cases=cases)


def measure(folder, net, rounds):
    """Measure one net; the first round warms the disk cache."""
    print(net, file=sys.stderr)
    prototxt, stem = str(ROOT / "prototxt" / NETS[net]), str(Path(folder) / net)
    # in its own process, because the memory of this one counts as memory of its child processes
    subprocess.run([sys.executable, "-c", PREPARE, net, prototxt, stem], check=True, cwd=_harness.HERE)
    weights = stem + ".caffemodel"
    programs = {
        "ncs compile": [([*NCS, prototxt, "-w", weights, "-o", str(Path(folder) / "out"), "--no-ir"], {})],
        "compiler alone": [([sys.executable, "-c", ALONE, stem + ".onnx", stem + ".blob"], {})],
    }
    laps = [{name: lap(steps) for name, steps in programs.items()} for _ in range(rounds + 1)][1:]
    megabytes = Path(weights).stat().st_size / 1e6
    return {
        "net": net,
        "weights, MB": megabytes,
        "seconds": {name: _harness.median(laps, name) for name in programs},
        "memory, MB": max(lap["ncs compile"]["memory"] for lap in laps),
        "compiler's memory, MB": max(lap["compiler alone"]["memory"] for lap in laps),
        "memory over weights": max(lap["ncs compile"]["memory"] for lap in laps) / megabytes,
        "over the compiler, wall": _harness.ratio(laps, "ncs compile", "compiler alone"),
        "over the compiler, cpu": _harness.ratio(laps, "ncs compile", "compiler alone", "cpu"),
        "rounds": laps,
    }


if __name__ == "__main__":
    main()
