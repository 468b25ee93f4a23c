"""Helpers of the loss layers: normalization as in Caffe, labels as indices, checks of counts."""

import pytest
import torch

from caffe.errors import CaffeError
from caffe.layers import _loss
from caffe.proto import caffe_pb2, text

FULL, VALID, BATCH_SIZE, NONE = (
    caffe_pb2.LossParameter.NormalizationMode.Value(n) for n in ("FULL", "VALID", "BATCH_SIZE", "NONE")
)


def loss_param(body):
    message = caffe_pb2.LossParameter()
    text.parse(body, message)
    return message


@pytest.mark.parametrize(
    "body, mode",
    [
        ("", FULL),
        ("normalize: true", VALID),
        ("normalize: false", BATCH_SIZE),
        ("normalization: NONE", NONE),
        ("normalization: FULL normalize: false", FULL),
        ("normalize: true normalization: BATCH_SIZE", BATCH_SIZE),
    ],
)
def test_normalization_overrides_normalize(body, mode):
    assert _loss.normalization(loss_param(body), FULL) == mode


@pytest.mark.parametrize("mode, divisor", [(FULL, 12), (VALID, 5), (BATCH_SIZE, 4), (NONE, 1)])
def test_normalizer(mode, divisor):
    assert _loss.normalizer(mode, 4, 3, 5) == divisor
    assert _loss.normalizer(mode, 0, 0, 0) == 1


def test_labels_are_truncated_and_ignored_labels_masked():
    index, valid = _loss.class_labels(torch.tensor([[0.0, 2.9], [255.0, 1.0]]), 3, ignore=255)
    assert index.tolist() == [[0, 2], [0, 1]] and valid.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    "label, ignore, message",
    [([0, 3, 7], None, "label 3 .*0 .. 2.*2 such"), ([-1, 0], 5, "label -1"), ([5, 5], 4, "label 5")],
)
def test_labels_outside_the_classes_raise(label, ignore, message):
    with pytest.raises(CaffeError, match=message):
        _loss.class_labels(torch.tensor(label), 3, ignore)


def test_counts_and_first_axes():
    assert _loss.split((2, 3, 4, 5), 1) == (2, 3, 20) and _loss.split((7,), 0) == (1, 7, 1)
    _loss.check_label_count((2, 3, 4), (2, 4), 1)
    _loss.check_same_first((2, 3), (2, 1, 1))
    with pytest.raises(CaffeError, match="expected 8 labels for predictions"):
        _loss.check_label_count((2, 3, 4), (2, 3), 1)
    with pytest.raises(CaffeError, match="same first dimension"):
        _loss.check_same_first((2, 3), (3, 2))
