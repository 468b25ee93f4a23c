"""In which order the records of a database are shown: as they lie, anew each time through, or classes balanced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def shuffled(length: int, seed: int, number: int) -> np.ndarray:
    """The order of round `number`: a permutation of 0..length-1 that follows from (seed, number) alone."""
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, number]).permutation(length)


class RecordSampler:
    """Record numbers, round after round, each round in an order of its own.

    With `balance` above 0 a round shows classes (`labels`, one a record) other than they are frequent: a class of n
    records gets a share in proportion to n ^ (1 - balance), so that 1 shows every class equally often. Within a class
    no record is shown twice before all were shown once.
    """

    def __init__(self, length: int, seed: int, labels: Sequence[int] = (), balance: float = 0.0) -> None:
        self.length, self.seed = length, seed
        self._classes = []
        if balance:
            values = np.asarray(labels)
            self._classes = [np.flatnonzero(values == value) for value in np.unique(values)]
            self._counts = _shares([len(c) ** (1.0 - balance) for c in self._classes], length)

    def round(self, number: int) -> np.ndarray:
        """Record numbers of one round; as many as there are records."""
        order = shuffled(self.length, self.seed, number)
        if not self._classes:
            return order
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, number, 1])
        picked = [_cycled(rng, members, count) for members, count in zip(self._classes, self._counts)]
        return np.concatenate(picked)[order]

    def at(self, index: int) -> Iterator[int]:
        """Record numbers from the `index`th shown on, without end."""
        number, start = divmod(index, self.length)
        while True:
            yield from self.round(number)[start:].tolist()
            number, start = number + 1, 0


def _cycled(rng: np.random.Generator, members: np.ndarray, count: int) -> np.ndarray:
    """`count` of `members`, each shown before one is shown again."""
    rounds = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)] or [members[:0]])[:count]


def _shares(weights: Sequence[float], total: int) -> list[int]:
    """`total` divided in proportion to `weights`, by largest remainder."""
    quotas = np.asarray(weights) / np.sum(weights) * total
    counts = np.floor(quotas).astype(int)
    for index in np.argsort(counts - quotas, kind="stable")[: total - counts.sum()]:
        counts[index] += 1
    return counts.tolist()
