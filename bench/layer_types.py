"""Print the CPU milliseconds of a training step per layer type as JSON. layer_types.py SOLVER THREADS"""

import collections
import json
import sys
import time

import layer_times


def main(solver_file, threads):
    import torch

    import caffe

    torch.set_num_threads(int(threads))
    solver = caffe.SGDSolver(solver_file)
    solver.step(2)
    types = {node.layer.name: node.layer.type for node in solver.net.nodes}
    times = layer_times.layers(solver, time.process_time)
    sums = collections.Counter({"weight update": times["update"]})
    for name, pair in times["layers"].items():
        sums[types[name]] += sum(pair)
    print(json.dumps(sums))


if __name__ == "__main__":
    main(*sys.argv[1:])
