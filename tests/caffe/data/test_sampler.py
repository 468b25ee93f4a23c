"""RecordSampler: every record once per epoch, a new order per epoch, balanced classes, resuming at any position."""

import itertools

import numpy as np
import pytest

from caffe.data.sampler import RecordSampler

LABELS = [0] * 60 + [1] * 30 + [2] * 10


def take(sampler, start, count):
    return list(itertools.islice(sampler.at(start), count))


def test_epochs_contain_every_record_once_in_different_orders():
    indices = take(RecordSampler(100, 7), 0, 300)
    epochs = [indices[i : i + 100] for i in (0, 100, 200)]
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != sorted(epochs[0])
    assert take(RecordSampler(100, 8), 0, 100) != epochs[0]


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_sequence_resumes_at_any_position(balance):
    sampler = RecordSampler(100, 3, LABELS, balance)
    indices = take(sampler, 0, 350)
    for start in (1, 99, 100, 234):
        assert take(sampler, start, 350 - start) == indices[start:]


def test_classes_are_balanced_and_records_within_a_class_drawn_equally_often():
    indices = RecordSampler(100, 3, LABELS, 1.0).epoch(0)
    counts = np.bincount(np.array(LABELS)[indices], minlength=3)
    assert sorted(counts.tolist()) == [33, 33, 34]
    per_record = np.bincount(indices, minlength=100)
    for members in (slice(0, 60), slice(60, 90), slice(90, 100)):
        assert np.ptp(per_record[members]) <= 1
    counts = np.bincount(np.array(LABELS)[RecordSampler(100, 3, LABELS, 0.5).epoch(5)], minlength=3)
    expected = np.sqrt([60, 30, 10]) / np.sqrt([60, 30, 10]).sum() * 100
    assert np.abs(counts - expected).max() < 1 and counts.sum() == 100


def test_rare_classes_are_spread_over_the_epoch():
    rare = np.flatnonzero(np.array(LABELS)[RecordSampler(100, 3, LABELS, 1.0).epoch(0)] == 2)
    assert rare.max() - rare.min() > 60
