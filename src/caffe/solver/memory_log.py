"""The log line with the memory that a training takes."""

from __future__ import annotations

from typing import Any

import torch

from caffe.core import glog

STATUS = "/proc/self/status"


def add_to(solver: Any) -> None:
    """Log the peak memory of `solver` once, in its second iteration, when everything has been allocated."""
    first = None

    def log() -> None:
        nonlocal first
        first = solver.iter if first is None else first
        if solver.iter == min(first + 1, solver.param.max_iter - 1):
            glog.info(line(solver), "solver.cpp:239")

    solver.add_callback(lambda: None, log)


def line(solver: Any) -> str:
    """Return the line: the peak, and what the training does to keep it low."""
    peak = peak_megabytes(solver.net.device)
    known = "unknown on this system" if peak is None else f"{peak:.0f} MB"
    return f"Peak memory {known}, {solver.net.freeing.describe() if solver.net.freeing else 'all blobs kept'}"


def peak_megabytes(device: Any = None) -> float | None:
    """Return the largest memory of the process so far, or of tensors on a CUDA device; None where it is unknown."""
    if device is not None and device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        with open(STATUS, encoding="ascii") as stream:
            return next(1024 * int(words[1]) / 1e6 for words in map(str.split, stream) if words[0] == "VmHWM:")
    except (OSError, StopIteration):
        return None
