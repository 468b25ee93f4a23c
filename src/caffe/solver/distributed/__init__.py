"""Training in several processes (torch.distributed): BVLC Caffe's parallel.cpp across GPUs, CPUs and machines.

Every process trains on its own batch; the diffs are summed and divided by the number of processes before the update, so
all processes keep equal weights. Process 0 tests, logs and writes the snapshots.
"""

from caffe.solver.distributed.group import Group, current, joined

__all__ = ["Group", "current", "joined"]
