"""A worker's side of the bench: it answers each line `N` with the seconds that N steps took (any Python from 3.6 on)."""

import json
import os
import sys
import time


def serve(step, counters=dict, **facts):
    """Tell that this worker is ready, with `facts`; then measure `step()` as often as each line on stdin says.

    `counters()` returns numbers that grow; each answer tells by how much they grew.
    """
    talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed goes to stderr
    _say(talk, facts)
    for line in sys.stdin:
        before, began, used = counters(), time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        answer = {"wall": time.perf_counter() - began, "cpu": time.process_time() - used}
        answer.update({name: value - before[name] for name, value in counters().items()})
        _say(talk, answer)


def _say(talk, answer):
    talk.write(json.dumps(answer) + "\n")
    talk.flush()
