"""Worker: trains a few steps and writes losses and weights. trajectory.py SOLVER WEIGHTS STEPS OUT.npz [PRECISION]"""

import sys

import numpy as np

import caffe

caffe.set_mode_cpu()
solver = caffe.SGDSolver(sys.argv[1])
solver.net.copy_from(sys.argv[2])
if len(sys.argv) > 5:
    solver.net.set_precision(sys.argv[5])
losses = []
for _ in range(int(sys.argv[3])):
    solver.step(1)
    losses.append(float(solver.net.blobs["loss"].data))
arrays = {f"{name}_{i}": blob.data for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)}
np.savez(sys.argv[4], losses=losses, **arrays)
