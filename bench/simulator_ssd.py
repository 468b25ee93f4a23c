"""Print MobileNet-SSD's rows of docs/guides/simulator.md: simulated blobs at full size against our Net in float32.

    PYTHONPATH=src:tests python bench/simulator_ssd.py

The structure and the seeded weights are those of tests/support/mobilenet_ssd.py.
"""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np
from support import mobilenet_ssd

from caffe.proto import text as prototxt_text
from ncs.compiler.compile import Model, Options, compile_models
from ncs.simulator import Simulator

CASES = [("MA2480", 1), ("MA2480", 4), ("MA2480", 8), ("MA2480", 16), ("MA2450", None)]


def main() -> None:
    text, (loc, conf, _) = mobilenet_ssd.prototxt()
    for name in (loc, conf):
        text += f'\nlayer {{ name: "{name}_copy" type: "Power" bottom: "{name}" top: "{name}_copy" }}'
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 300, 300)).astype(np.float32)
    net = mobilenet_ssd.seeded_net(text, image)
    print(
        "| chip | SHAVE cores | stages | locations: largest, max error | scores: largest, max error | same | seconds |"
    )
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        prototxt, weights = os.path.join(folder, "ssd.prototxt"), os.path.join(folder, "ssd.caffemodel")
        with open(prototxt, "wb") as stream:
            stream.write(prototxt_text.format(net.param).encode())
        net.save(weights)
        model = Model("ssd", prototxt, weights, None, [])
        for chip, cores in CASES:
            compile_models([(model, os.path.join(folder, "ssd"))], Options(chip, cores, ir=False), lambda line: None)
            print(
                row(chip, cores, Simulator.from_file(os.path.join(folder, "ssd.blob")), net, image, (loc, conf)),
                flush=True,
            )


def row(chip, cores, simulator, net, image, names):
    simulator.run({"data": image})
    began = time.perf_counter()
    outputs = simulator.run({"data": image})
    seconds = time.perf_counter() - began
    texts = []
    for name in names:
        expected = net.blobs[name].data
        error = np.abs(outputs[name + "_copy"].reshape(expected.shape) - expected).max()
        texts.append(f"{np.abs(expected).max():.2f}, {error:.2g}")
    expected, found = (detections(array) for array in (net.blobs["detection_out"].data, outputs["detection_out"]))
    same = sum(matches(first, found) for first in expected)
    findings = "; ".join(simulator.findings())
    cells = [
        chip,
        cores or simulator.program.shaves,
        len(simulator.program.stages),
        *texts,
        f"{same} of {len(expected)}",
    ]
    return f"| {' | '.join(map(str, cells))} | {seconds:.1f} | {findings}"


def detections(rows):
    rows = rows.reshape(-1, 7)
    ends = np.flatnonzero(rows[:, 0] < 0)
    return rows[: ends[0]] if len(ends) else rows


def matches(found, others):
    """Whether a detection of the same class is among `others`, its box within 2 % of the image and score within 0.05."""
    same = others[others[:, 1] == found[1]]
    return bool(len(same)) and bool(
        ((np.abs(same[:, 3:] - found[3:]).max(1) < 0.02) & (np.abs(same[:, 2] - found[2]) < 0.05)).any()
    )


if __name__ == "__main__":
    main()
