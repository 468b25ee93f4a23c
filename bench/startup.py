#!/usr/bin/env python3
"""Seconds until commands are done: --help of each program, one picture through run_inference.py, reading weights."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _harness
import models

HOUSE = _harness.HERE.parent
BIN = Path(sys.executable).parent
HELPS = {
    "caffe": [BIN / "caffe"], "caffe train": [BIN / "caffe", "train"], "caffe test": [BIN / "caffe", "test"],
    "convert_imageset": [BIN / "convert_imageset"], "compute_image_mean": [BIN / "compute_image_mean"],
    "ncs": [BIN / "ncs"], "agegender": [BIN / "agegender"], "agegender train": [BIN / "agegender", "train"],
    "run_inference.py": [sys.executable, HOUSE / "run_inference.py"],
}  # fmt: skip
READ = """
import sys, time
from caffe.weights.snapshot import read_weights
began = time.perf_counter()
weights = read_weights(sys.argv[1])
total = sum(float(array.sum()) for arrays in weights.values() for array in arrays)
print(time.perf_counter() - began)
"""
# name: (inputs, outputs) of the largest layers, which hold the size of the file
MODELS = {
    "AgeNet": [(18816, 512), (2400, 256), (2304, 384)],
    "VGG-16": [(25088, 4096), (4096, 4096), (4608, 3200), (4096, 1000)],
}


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    cases = [row(f"{n} --help", [*command, "--help"], args.rounds) for n, command in HELPS.items()]
    with tempfile.TemporaryDirectory() as folder:
        models.prepare(folder)
        cases.append(row("run_inference.py, one image", inference(folder), args.rounds))
    with tempfile.TemporaryDirectory() as folder:
        cases += [reading(Path(folder), name, shapes, args.rounds) for name, shapes in MODELS.items()]
    _harness.save("startup", cases=cases)


def row(name, command, rounds):
    """Wall seconds of a command, and the processor's seconds, which other work on the machine does not stretch."""
    found = []
    for _ in range(rounds + 1):
        began, before = time.perf_counter(), _children()
        subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=HOUSE)
        found.append((time.perf_counter() - began, _children() - before))
    wall, cpu = (statistics.median(column) for column in zip(*found[1:]))
    print(f"  {name}: {wall:.3f} s, processor {cpu:.3f} s", file=sys.stderr)
    return {"what": name, "wall": wall, "cpu": cpu, "least": min(w for w, _ in found[1:])}


def _children():
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def inference(folder):
    import cv2
    import numpy as np

    path = str(Path(folder) / "face.png")
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (227, 227, 3), dtype=np.uint8))
    return [sys.executable, HOUSE / "run_inference.py", "--image_path", path, "--device", "CPU", "--model-dir", folder]


def reading(folder, name, shapes, rounds):
    """Seconds to read a caffemodel and add up every weight in it, and the memory it took."""
    import numpy as np

    from caffe.proto import caffe_pb2
    from caffe.weights.snapshot import write_caffemodel

    param = caffe_pb2.NetParameter(name=name)
    weights = {}
    for i, (inputs, outputs) in enumerate(shapes):
        param.layer.add(name="fc%d" % i, type="InnerProduct")
        weights["fc%d" % i] = [np.ones((outputs, inputs), np.float32), np.ones(outputs, np.float32)]
    path = folder / (name + ".caffemodel")
    write_caffemodel(str(path), param, weights)
    command = [sys.executable, "-c", READ, path]
    found = [float(subprocess.check_output(list(map(str, command)))) for _ in range(rounds)]
    wall, memory = statistics.median(found), _harness.measured(command)["memory"]
    size = path.stat().st_size / 1e6
    print(f"  {name}, {size:.0f} MB: {wall:.3f} s, {memory:.0f} MB of memory", file=sys.stderr)
    return {"what": f"read a caffemodel of {name}'s size ({size:.0f} MB)", "wall": wall, "cpu": wall,
            "least": min(found), "memory, MB": memory}  # fmt: skip


if __name__ == "__main__":
    main()
