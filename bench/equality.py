#!/usr/bin/env python3
"""Differences between ten training steps of AgeNet without dropout here and in real Caffe."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _baselines
import _harness
import nets
import numpy as np

STEPS, BATCH = 10, 10


def main():
    _harness.arguments(__doc__, rounds=1).parse_args()
    caffe, reason = _baselines.python("kendryte-caffe")
    if not caffe:
        _harness.save("equality", cases=[], missing=[_harness.missing_baseline("kendryte-caffe", reason)])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        solver, weights = prepare(folder)
        python = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
        expected = run(caffe, folder, solver, weights, **python)
        cases = [
            compare("fast", expected, run(sys.executable, folder, solver, weights)),
            compare(
                "plain (CAFFE_DISABLE_PASSES=1)",
                expected,
                run(sys.executable, folder, solver, weights, CAFFE_DISABLE_PASSES="1"),
            ),
            compare("bf16", expected, run(sys.executable, folder, solver, weights, "bf16")),
        ]
    _harness.save("equality", steps=STEPS, batch=BATCH, cases=cases, missing=[])


def prepare(folder):
    """Write AgeNet without dropout, a solver whose learning rate drops at step 5, and initial weights."""
    import caffe
    from caffe.proto import caffe_pb2, text
    from caffe.proto.read import read_net

    solver = nets.prepare(folder, "AgeNet")
    path = solver.parent / "net.prototxt"
    param = read_net(str(path)).param
    layers = [layer for layer in param.layer if layer.type != "Dropout"]
    del param.layer[:]
    param.layer.extend(layers)
    param.layer[0].data_param.batch_size = BATCH
    path.write_text(text.format(param))
    solver_text = solver.read_text().replace('lr_policy: "fixed"', 'lr_policy: "step" gamma: 0.1 stepsize: 5')
    solver.write_text(solver_text.replace("base_lr: 0.0001", "base_lr: 0.001"))
    weights = str(folder / "start.caffemodel")
    caffe.set_random_seed(3)
    caffe.Net(str(path), caffe_pb2.TRAIN).save(weights)
    return str(solver), weights


def run(python, folder, solver, weights, *precision, **environment):
    """Train with one implementation; return its losses and weights."""
    output = folder / "out.npz"
    command = [python, _harness.HERE / "trajectory.py", solver, weights, STEPS, output, *precision]
    variables = dict(os.environ, GLOG_minloglevel="2", OMP_NUM_THREADS="2", **environment)
    subprocess.run([str(part) for part in command], check=True, env=variables, capture_output=True)
    with np.load(output) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def compare(name, expected, result):
    loss = float(np.abs(result["losses"] - expected["losses"]).max())
    weight = max(float(np.abs(result[key] - expected[key]).max()) for key in expected if key != "losses")
    print(f"  {name}: loss {loss:.2g}, weights {weight:.2g}", file=sys.stderr)
    return {"variant": name, "loss": loss, "weights": weight}


if __name__ == "__main__":
    main()
