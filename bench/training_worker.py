"""Worker: trains as a solver file says, with whichever `caffe` imports here. trainer.py SOLVER [PRECISION [THREADS]]"""

import sys

from worker import serve

import caffe

caffe.set_mode_cpu()
if len(sys.argv) > 3:  # real Caffe takes its threads from the environment
    import torch

    torch.set_num_threads(int(sys.argv[3]))
solver = caffe.SGDSolver(sys.argv[1])
if len(sys.argv) > 2:
    solver.net.set_precision(sys.argv[2])


def waited():
    """Seconds that the step stood still for its batch; real Caffe does not tell."""
    feeds = [layer.prefetcher for layer in solver.net.layers if hasattr(getattr(layer, "prefetcher", None), "waited")]
    return {"waited": sum(feed.waited for feed in feeds)} if feeds else {}


serve(lambda: solver.step(1), waited)
