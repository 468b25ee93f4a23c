"""Worker: trains as a solver file says, with whichever `caffe` imports here. trainer.py SOLVER [PRECISION [THREADS]]"""

import sys

import caffe
from worker import serve

caffe.set_mode_cpu()
if len(sys.argv) > 3:  # real Caffe takes its threads from the environment
    import torch

    torch.set_num_threads(int(sys.argv[3]))
solver = caffe.SGDSolver(sys.argv[1])
if len(sys.argv) > 2:
    solver.net.set_precision(sys.argv[2])


def waited():
    """Seconds that the step stood still for its batch; real Caffe does not tell."""
    feeds = [getattr(layer, "feed", None) for layer in solver.net.layers]
    return {"waited": feed.waited for feed in feeds if hasattr(feed, "waited")}


serve(lambda: solver.step(1), waited)
