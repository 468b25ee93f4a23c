"""What the loss layers have in common: what the sum is divided by, labels as indices, checks of the batch."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

LossParameter = caffe_pb2.LossParameter
LOG_THRESHOLD = 1e-20  # kLOG_THRESHOLD: the smallest probability whose logarithm Caffe takes
FLT_MIN = 2.0**-126  # the smallest normal float32


def normalization(param, default):
    """The NormalizationMode of `param` (LossParameter); the older `normalize` counts where `normalization`
    is not given.
    """
    if param.HasField("normalization"):
        return param.normalization
    if param.HasField("normalize"):
        return LossParameter.VALID if param.normalize else LossParameter.BATCH_SIZE
    return default


def normalizer(mode, outer, inner, valid, fixed=1.0):
    """What the sum is divided by: all labels, those not ignored, the batch size, 1, or `fixed` (PRE_FIXED of R-FCN's Caffe);
    never less than 1.
    """
    divisor = {
        LossParameter.FULL: outer * inner,
        LossParameter.VALID: valid,
        LossParameter.BATCH_SIZE: outer,
        LossParameter.NONE: 1,
        LossParameter.PRE_FIXED: fixed,
    }[mode]
    return max(1.0, float(divisor))


def ignored(param):
    """The label that does not count (`ignore_label` of a LossParameter or AccuracyParameter), or None."""
    return param.ignore_label if param.HasField("ignore_label") else None


def class_labels(label, classes, ignore=None):
    """Return (indices, valid): `label` truncated to int64 and where it is not `ignore`; ignored places
    hold index 0.

    Raises CaffeError for a label outside 0 .. classes-1, where Caffe would read beyond its arrays.
    """
    index = label.detach().long()
    valid = torch.ones_like(index, dtype=torch.bool) if ignore is None else index != ignore
    index = torch.where(valid, index, 0)
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < classes:
        wrong = index[(index < 0) | (index >= classes)]
        raise CaffeError(
            "label %d is outside 0 .. %d, the %d classes of the prediction (%d such labels in this batch)"
            % (int(wrong[0]), classes - 1, classes, wrong.numel())
        )
    return index, valid


def check_same_first(data, label):
    """LossLayer::Reshape: the first axes of prediction and label (shapes) agree."""
    if tuple(data[:1]) != tuple(label[:1]):
        raise CaffeError(
            f"data and label must have the same first dimension, received {tuple(data)} and {tuple(label)}"
        )


def check_label_count(data, label, axis):
    """One label for each position of `data` (shape) besides `axis`."""
    outer, _, inner = split(data, axis)
    wanted = outer * inner
    if math.prod(label) != wanted:
        raise CaffeError(
            "labels must match predictions in number: data %s with the classes along axis %d needs %d "
            "labels, received %s" % (tuple(data), axis, wanted, tuple(label))
        )


def split(shape, axis):
    """`shape` as (outer, classes, inner): the counts before, along and after `axis`."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
