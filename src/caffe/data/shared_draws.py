"""Random numbers for the part of a batch that one of several solvers reads."""

from __future__ import annotations

from typing import Any

import numpy as np


class SharedDraws:
    """Draws for the batches of all solvers together and returns the numbers of one: those that one solver would draw.

    Image j of solver `rank` is image rank + j * count of the joint batch. Draws without a number per image (noise,
    mixup) come from `own`.

    Parameters
    ----------
    rng : numpy Generator
        The same in all solvers.
    rank, count : int
        Number of this solver, and of solvers.
    own : numpy Generator
        Different in each solver.
    """

    def __init__(self, rng: np.random.Generator, rank: int, count: int, own: np.random.Generator) -> None:
        self._rng, self._rank, self._count, self._own = rng, rank, count, own

    def integers(self, low: Any, high: Any, size: Any = None) -> Any:
        """Draw integers; without `size`, one per row of `high`."""
        if size is None:
            high = np.repeat(np.asarray(high), self._count, axis=0)
            return self._rng.integers(low, high)[self._rank :: self._count]
        return self._rng.integers(low, high, self._joint(size))[self._rank :: self._count]

    def uniform(self, low: float, high: float, size: Any = None) -> Any:
        """Draw uniformly from low..high."""
        if size is None:
            return self._own.uniform(low, high)
        return self._rng.uniform(low, high, self._joint(size))[self._rank :: self._count]

    def random(self, size: Any) -> Any:
        """Draw uniformly from 0..1."""
        return self._rng.random(self._joint(size))[self._rank :: self._count]

    def _joint(self, size: Any) -> tuple[int, ...]:
        first, *rest = size if isinstance(size, tuple) else (size,)
        return (first * self._count, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)
