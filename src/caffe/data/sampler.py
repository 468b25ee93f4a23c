"""Order of the records of a database during training: shuffled per epoch, optionally with balanced classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def shuffled(length: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of epoch `epoch`: a permutation of 0..length-1 that depends only on (seed, epoch)."""
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, epoch]).permutation(length)


class RecordSampler:
    """Endless sequence of record indices, shuffled per epoch.

    Parameters
    ----------
    length : int
        Number of records.
    seed : int
    labels : sequence of int
        Class of each record; needed if `balance` is not 0.
    balance : float
        A class of n records is drawn in proportion to n ** (1 - balance): 0 keeps the class frequencies, 1 draws all
        classes equally often. Within a class, no record repeats before all have been drawn.
    """

    def __init__(self, length: int, seed: int, labels: Sequence[int] = (), balance: float = 0.0) -> None:
        self.length, self.seed = length, seed
        self._classes = []
        if balance:
            values = np.asarray(labels)
            self._classes = [np.flatnonzero(values == value) for value in np.unique(values)]
            self._counts = _apportion([len(c) ** (1.0 - balance) for c in self._classes], length)

    def epoch(self, number: int) -> np.ndarray:
        """Return the record indices of one epoch; as many as there are records."""
        order = shuffled(self.length, self.seed, number)
        if not self._classes:
            return order
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, number, 1])
        drawn = [_draw(rng, members, count) for members, count in zip(self._classes, self._counts)]
        return np.concatenate(drawn)[order]

    def at(self, index: int) -> Iterator[int]:
        """Yield record indices endlessly from position `index` of the sequence."""
        number, start = divmod(index, self.length)
        while True:
            yield from self.epoch(number)[start:].tolist()
            number, start = number + 1, 0


def _draw(rng: np.random.Generator, members: np.ndarray, count: int) -> np.ndarray:
    """Draw `count` of `members`; none repeats before all have been drawn."""
    repeats = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(repeats)] or [members[:0]])[:count]


def _apportion(weights: Sequence[float], total: int) -> list[int]:
    """Divide `total` in proportion to `weights` (largest remainder method)."""
    quotas = np.asarray(weights) / np.sum(weights) * total
    counts = np.floor(quotas).astype(int)
    for index in np.argsort(counts - quotas, kind="stable")[: total - counts.sum()]:
        counts[index] += 1
    return counts.tolist()
