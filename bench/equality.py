#!/usr/bin/env python3
"""How far ten steps of AgeNet without dropout end from where real Caffe's end, across a drop of the learning rate."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _baselines
import _harness
import numpy as np
from support import small_solvers

STEPS, BATCH = 10, 10


def main():
    _harness.arguments(__doc__, rounds=1).parse_args()
    caffe, why = _baselines.python("kendryte-caffe")
    if not caffe:
        _harness.save("equality", cases=[], missing=[_harness.absent("kendryte-caffe", why)])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        solver, weights = prepare(folder)
        python = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
        truth = run(caffe, folder, solver, weights, **python)
        cases = [
            compare("fast", truth, run(sys.executable, folder, solver, weights)),
            compare(
                "no passes (CAFFE_DISABLE_PASSES=1)",
                truth,
                run(sys.executable, folder, solver, weights, CAFFE_DISABLE_PASSES="1"),
            ),
            compare("bf16", truth, run(sys.executable, folder, solver, weights, "bf16")),
        ]
    _harness.save("equality", steps=STEPS, batch=BATCH, cases=cases, missing=[])


def prepare(folder):
    """AgeNet without dropout, the rate a tenth from step 5 on, and weights to start from."""
    import caffe
    from caffe.proto import caffe_pb2, text
    from caffe.proto.read import read_net

    solver = small_solvers.prepare(folder, "AgeNet")
    path = solver.parent / "net.prototxt"
    param = read_net(str(path)).param
    kept = [layer for layer in param.layer if layer.type != "Dropout"]
    del param.layer[:]
    param.layer.extend(kept)
    param.layer[0].data_param.batch_size = BATCH
    path.write_text(text.format(param))
    words = solver.read_text().replace('lr_policy: "fixed"', 'lr_policy: "step" gamma: 0.1 stepsize: 5')
    solver.write_text(words.replace("base_lr: 0.0001", "base_lr: 0.001"))
    weights = str(folder / "start.caffemodel")
    caffe.set_random_seed(3)
    caffe.Net(str(path), caffe_pb2.TRAIN).save(weights)
    return str(solver), weights


def run(python, folder, solver, weights, *precision, **environment):
    """Losses and weights of one contestant."""
    out = folder / "out.npz"
    command = [python, _harness.HERE / "trajectory.py", solver, weights, STEPS, out, *precision]
    setting = dict(os.environ, GLOG_minloglevel="2", OMP_NUM_THREADS="2", **environment)
    subprocess.run([str(part) for part in command], check=True, env=setting, capture_output=True)
    with np.load(out) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def compare(name, truth, mine):
    loss = float(np.abs(mine["losses"] - truth["losses"]).max())
    weight = max(float(np.abs(mine[key] - truth[key]).max()) for key in truth if key != "losses")
    print(f"  {name}: loss {loss:.2g}, weights {weight:.2g}", file=sys.stderr)
    return {"way": name, "loss": loss, "weights": weight}


if __name__ == "__main__":
    main()
