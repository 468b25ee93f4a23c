"""Split faces into a training set and a held-out test set."""

from __future__ import annotations

import math
import random

from agegender.datasets.sample import Sample

SEED = 230  # AgeGenderPrediction's


def stratified(samples: list[Sample], fraction: float = 0.8, seed: int = SEED) -> tuple[list[Sample], list[Sample]]:
    """Split into (train, test), stratified by age class and gender; both parts are shuffled.

    int(fraction * N) samples are for training. The sizes of the strata are rounded by largest remainder, so that
    small strata are not lost to rounding.
    """
    rng = random.Random(seed)
    strata: dict[tuple, list[Sample]] = {}
    for sample in sorted(samples):
        strata.setdefault((sample.age_class, sample.gender), []).append(sample)
    quotas = [fraction * len(strata[key]) for key in sorted(strata)]
    counts = _largest_remainder(quotas, int(fraction * len(samples)))
    train, test = [], []
    for key, count in zip(sorted(strata), counts):
        members = strata[key]
        rng.shuffle(members)
        train += members[:count]
        test += members[count:]
    rng.shuffle(train)
    rng.shuffle(test)
    return train, test


def as_original(
    samples: list[Sample], fraction: float = 0.8, seed: int = SEED
) -> tuple[list[Sample], list[Sample], random.Random]:
    """Split into (train, test) by AgeGenderPrediction's rule: seed, shuffle, cut.

    The original shuffles names in directory order, which differs between machines; sorting makes it reproducible.
    The third value is the generator, which the original also uses for the copies.
    """
    rng = random.Random(seed)
    shuffled = sorted(samples, key=lambda sample: sample.path)
    rng.shuffle(shuffled)
    cut = int(fraction * len(shuffled))
    return shuffled[:cut], shuffled[cut:], rng


def _largest_remainder(quotas, total):
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (counts[i] - quotas[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
