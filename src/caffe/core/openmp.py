"""How PyTorch's threads wait for each other."""

from __future__ import annotations

import os

OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def limit_openmp_spin():
    """Have GNU OpenMP's threads give their core away after some microseconds of waiting; before torch is imported.

    By default they spin for milliseconds, on cores that another program could use; where it does, the thread they
    wait for is the one that does not get to run: steps took three to ten times as long beside other work. On a quiet
    machine it makes no difference. Whoever has set one of OWN keeps it.
    """
    if not any(name in os.environ for name in OWN):
        os.environ["GOMP_SPINCOUNT"] = "1000"
