"""Both split rules on synthetic samples; test_published_facts has the numbers of the real names."""

import collections
import random

import pytest

from agegender.datasets import split
from agegender.datasets.sample import Sample
from agegender.inference.labels import Gender


def faces(counts):
    """counts[age class][gender] samples with distinct names."""
    return [
        Sample(f"{10 * age + 3:03d}_{gender:d}_2_{i}.jpg", 10 * age + 3, Gender(gender), 2)
        for age, gender_counts in enumerate(counts)
        for gender, count in enumerate(gender_counts)
        for i in range(count)
    ]


def test_stratified_keeps_the_fraction_of_every_stratum():
    samples = faces([(50, 40), (5, 10), (1, 0), (0, 7)])
    train, test = split.stratified(samples)
    assert len(train) == int(0.8 * len(samples)) and sorted(train + test) == sorted(samples)
    in_train = collections.Counter((sample.age_class, sample.gender) for sample in train)
    for key, count in collections.Counter((sample.age_class, sample.gender) for sample in samples).items():
        assert abs(in_train[key] - 0.8 * count) < 1, key


def test_stratified_depends_on_the_seed_but_not_on_the_order():
    samples = faces([(30, 30), (20, 25)])
    assert split.stratified(samples) == split.stratified(samples[::-1])
    assert split.stratified(samples, seed=1) != split.stratified(samples, seed=2)


@pytest.mark.parametrize("counts", [[(1, 0)], [(1, 1)], [(3, 0), (0, 1)]])
def test_few_faces_do_not_crash(counts):
    samples = faces(counts)
    train, test = split.stratified(samples)
    assert sorted(train + test) == sorted(samples)


def test_original_split_cuts_a_seeded_shuffle_of_sorted_names():
    samples = faces([(7, 5), (3, 4)])
    names = sorted(sample.path for sample in samples)
    random.seed(230)
    random.shuffle(names)
    train, test, _ = split.as_original(samples[::-1])
    assert [sample.path for sample in train] == names[:15]
    assert [sample.path for sample in test] == names[15:]
