"""The worker's side of the benchmarks: for each line `N` it runs N steps and reports their time (Python 3.6+)."""

import json
import os
import sys
import time


def serve(step, counters=dict, **info):
    """Report `info` when ready; then run `step()` as often as each line of standard input requests and report the time.

    `counters()` returns increasing numbers; their increase is part of the report.
    """
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # other output goes to stderr
    _send(pipe, info)
    for line in sys.stdin:
        before, start, cpu_start = counters(), time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        times = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu_start}
        times.update({name: value - before[name] for name, value in counters().items()})
        _send(pipe, times)


def _send(pipe, message):
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()
