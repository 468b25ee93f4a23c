"""Which faces are learned from and which are held back."""

from __future__ import annotations

import math
import random

SEED = 230  # the original's


def stratified(samples, fraction=0.8, seed=SEED):
    """(train, test): `fraction` of every age class x gender is for training, int(fraction * N) in all.

    Shares are rounded by largest remainder, so no small stratum is lost to rounding; both sides are shuffled.
    """
    rng = random.Random(seed)
    strata = {}
    for sample in sorted(samples):
        strata.setdefault((sample.age_class, sample.gender), []).append(sample)
    quotas = [fraction * len(strata[key]) for key in sorted(strata)]
    shares = _largest_remainder(quotas, int(fraction * len(samples)))
    train, test = [], []
    for key, share in zip(sorted(strata), shares):
        members = strata[key]
        rng.shuffle(members)
        train += members[:share]
        test += members[share:]
    rng.shuffle(train)
    rng.shuffle(test)
    return train, test


def as_original(samples, fraction=0.8, seed=SEED):
    """(train, test, rng) by AgeGenderPrediction's rule on sorted names: seed, shuffle, cut; `rng` goes on.

    It took the names in the order of the directory, which no two machines share; sorting makes it repeatable.
    """
    rng = random.Random(seed)
    shuffled = sorted(samples, key=lambda sample: sample.path)
    rng.shuffle(shuffled)
    cut = int(fraction * len(shuffled))
    return shuffled[:cut], shuffled[cut:], rng


def _largest_remainder(quotas, total):
    shares = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (shares[i] - quotas[i], i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares
