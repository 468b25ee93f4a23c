"""Orders: every record once a round, other rounds other orders, shares of classes as asked, going on anywhere."""

import itertools

import numpy as np
import pytest

from caffe.data.sampler import RecordSampler

LABELS = [0] * 60 + [1] * 30 + [2] * 10


def take(order, start, count):
    return list(itertools.islice(order.at(start), count))


def test_a_round_shows_every_record_once_and_the_next_in_another_order():
    shown = take(RecordSampler(100, 7), 0, 300)
    rounds = [shown[i : i + 100] for i in (0, 100, 200)]
    assert all(sorted(r) == list(range(100)) for r in rounds)
    assert rounds[0] != rounds[1] != rounds[2] and rounds[0] != sorted(rounds[0])
    assert take(RecordSampler(100, 8), 0, 100) != rounds[0]


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_any_number_can_be_gone_on_from(balance):
    order = RecordSampler(100, 3, LABELS, balance)
    shown = take(order, 0, 350)
    for start in (1, 99, 100, 234):
        assert take(order, start, 350 - start) == shown[start:]


def test_classes_get_their_shares_and_no_record_waits_for_another_to_come_twice():
    shown = RecordSampler(100, 3, LABELS, 1.0).round(0)
    counts = np.bincount(np.array(LABELS)[shown], minlength=3)
    assert sorted(counts.tolist()) == [33, 33, 34]
    per_record = np.bincount(shown, minlength=100)
    for members in (slice(0, 60), slice(60, 90), slice(90, 100)):
        assert np.ptp(per_record[members]) <= 1
    half = np.bincount(np.array(LABELS)[RecordSampler(100, 3, LABELS, 0.5).round(5)], minlength=3)
    wanted = np.sqrt([60, 30, 10]) / np.sqrt([60, 30, 10]).sum() * 100
    assert np.abs(half - wanted).max() < 1 and half.sum() == 100


def test_the_rare_are_not_bunched_together():
    rare = np.flatnonzero(np.array(LABELS)[RecordSampler(100, 3, LABELS, 1.0).round(0)] == 2)
    assert rare.max() - rare.min() > 60
