"""Check a net and a solver before a training: errors with file:line, graph with shapes, schedule, memory and time."""

from __future__ import annotations

import time
from typing import Any

from agegender.workbench.tasks import run_files

TIMED_BATCH = 2  # images of the timed iteration
MB = 1e6


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return graph, schedule and estimates."""
    param, solver = run_files.read(values)  # its errors are reported before torch is imported
    import numpy as np

    from agegender.workbench.tasks import graph, schedule
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    lines = schedule.points(solver)
    net = Net.from_param(param, caffe_pb2.TRAIN)
    counts = {name: int(np.prod(blob.shape)) for name, blob in net.blobs.items()}
    weights = sum(int(np.prod(blob.shape)) for blobs in net.params.values() for blob in blobs)
    histories = 2 if solver.type in ("Adam", "AdaDelta") else 1
    memory = 4 * (2 * sum(counts.values()) + (2 + histories) * weights) / MB
    seconds = _seconds(net)
    return {
        "layers": len(net.nodes),
        "weights": weights,
        "batch": next(iter(net.blobs.values())).shape[0],
        "memory_megabytes": round(memory, 1),
        "seconds_per_iteration": round(seconds, 3),
        "minutes": round(seconds * solver.max_iter / 60, 2),
        "max_iter": solver.max_iter,
        "schedule": lines,
        "graph": graph.of_net(net),
    }


def _seconds(net: Any) -> float:
    """Return the time of one forward and backward pass, the second of two."""
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        net.clear_param_diffs()
        net.forward_range(0, len(net.nodes) - 1)
        net.backward_range(len(net.nodes) - 1, 0)
        seconds = time.perf_counter() - began
    return seconds
