#!/usr/bin/env python3
"""Run time of commands: --help of each program, run_inference.py on one image, reading weights."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _harness
import models

ROOT = _harness.HERE.parent
BIN = Path(sys.executable).parent
COMMANDS = {
    "caffe": [BIN / "caffe"],
    "caffe train": [BIN / "caffe", "train"],
    "caffe test": [BIN / "caffe", "test"],
    "convert_imageset": [BIN / "convert_imageset"],
    "compute_image_mean": [BIN / "compute_image_mean"],
    "ncs": [BIN / "ncs"],
    "agegender": [BIN / "agegender"],
    "agegender train": [BIN / "agegender", "train"],
    "run_inference.py": [sys.executable, ROOT / "run_inference.py"],
}
READ = """
import sys, time
from caffe.weights.snapshot import read_weights
start = time.perf_counter()
weights = read_weights(sys.argv[1])
total = sum(float(array.sum()) for arrays in weights.values() for array in arrays)
print(time.perf_counter() - start)
"""
# name: (inputs, outputs) of the largest layers, which determine the size of the file
MODELS = {
    "AgeNet": [(18816, 512), (2400, 256), (2304, 384)],
    "VGG-16": [(25088, 4096), (4096, 4096), (4608, 3200), (4096, 1000)],
}


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    cases = [row(f"{n} --help", [*command, "--help"], args.rounds) for n, command in COMMANDS.items()]
    with tempfile.TemporaryDirectory() as folder:
        models.prepare(folder)
        cases.append(row("run_inference.py, one image", inference_command(folder), args.rounds))
    with tempfile.TemporaryDirectory() as folder:
        cases += [measure_reading(Path(folder), name, shapes, args.rounds) for name, shapes in MODELS.items()]
    _harness.save("startup", cases=cases)


def row(name, command, rounds):
    """Return the median wall and CPU seconds of a command; other load on the machine affects only the wall time."""
    times = []
    for _ in range(rounds + 1):
        start, cpu_before = time.perf_counter(), _children_cpu()
        subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT)
        times.append((time.perf_counter() - start, _children_cpu() - cpu_before))
    wall, cpu = (statistics.median(column) for column in zip(*times[1:]))
    print(f"  {name}: {wall:.3f} s, CPU {cpu:.3f} s", file=sys.stderr)
    return {"command": name, "wall": wall, "cpu": cpu, "min": min(w for w, _ in times[1:])}


def _children_cpu():
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def inference_command(folder):
    import cv2
    import numpy as np

    path = str(Path(folder) / "face.png")
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (227, 227, 3), dtype=np.uint8))
    return [sys.executable, ROOT / "run_inference.py", "--image_path", path, "--device", "CPU", "--model-dir", folder]


def measure_reading(folder, name, shapes, rounds):
    """Measure time and memory for reading a caffemodel and summing all its weights."""
    import numpy as np

    from caffe.proto import caffe_pb2
    from caffe.weights.snapshot import write_caffemodel

    param = caffe_pb2.NetParameter(name=name)
    weights = {}
    for i, (inputs, outputs) in enumerate(shapes):
        param.layer.add(name=f"fc{i}", type="InnerProduct")
        weights[f"fc{i}"] = [np.ones((outputs, inputs), np.float32), np.ones(outputs, np.float32)]
    path = folder / (name + ".caffemodel")
    write_caffemodel(str(path), param, weights)
    command = [sys.executable, "-c", READ, path]
    times = [float(subprocess.check_output(list(map(str, command)))) for _ in range(rounds)]
    wall, memory = statistics.median(times), _harness.run_measured(command)["memory"]
    size = path.stat().st_size / 1e6
    print(f"  {name}, {size:.0f} MB: {wall:.3f} s, {memory:.0f} MB of memory", file=sys.stderr)
    return {
        "command": f"read a caffemodel of the size of {name} ({size:.0f} MB)",
        "wall": wall,
        "cpu": wall,
        "min": min(times),
        "memory, MB": memory,
    }


if __name__ == "__main__":
    main()
