"""Waiting policy of PyTorch's OpenMP threads."""

from __future__ import annotations

import os

USER_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def limit_openmp_spin() -> None:
    """Make waiting GNU OpenMP threads yield their core after some microseconds; call before torch is imported.

    By default they spin for milliseconds. On a busy machine they then keep the thread they wait for from running:
    training steps took three to ten times as long. On an idle machine it makes no difference. Does nothing if one of
    the variables USER_SETTINGS is set.
    """
    if not any(name in os.environ for name in USER_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = "1000"
