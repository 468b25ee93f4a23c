"""Worker: trains with the installed `caffe`. training_worker.py SOLVER [PRECISION [THREADS]]"""

import sys

from worker import serve

import caffe

caffe.set_mode_cpu()
if len(sys.argv) > 3:  # real Caffe reads the number of threads from the environment
    import torch

    torch.set_num_threads(int(sys.argv[3]))
solver = caffe.SGDSolver(sys.argv[1])
if len(sys.argv) > 2:
    solver.net.set_precision(sys.argv[2])
    if hasattr(solver, "free_blobs"):
        solver.free_blobs()  # as `caffe train`


def waited():
    """Return the seconds that steps waited for their batches; real Caffe does not report them."""
    prefetchers = [
        layer.prefetcher for layer in solver.net.layers if hasattr(getattr(layer, "prefetcher", None), "waited")
    ]
    return {"waited": sum(prefetcher.waited for prefetcher in prefetchers)} if prefetchers else {}


serve(lambda: solver.step(1), waited)
