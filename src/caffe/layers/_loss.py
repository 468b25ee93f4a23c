"""Helpers of the loss layers: normalizers, labels as indices, checks of the batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe.layers.base import Shape, Tensor

LossParameter = caffe_pb2.LossParameter
LOG_THRESHOLD = 1e-20  # kLOG_THRESHOLD: the smallest probability whose logarithm Caffe takes
FLT_MIN = 2.0**-126  # the smallest normal float32


def normalization(param: Any, default: int) -> int:
    """Return the NormalizationMode of `param` (LossParameter), considering the older field `normalize`."""
    if param.HasField("normalization"):
        return param.normalization
    if param.HasField("normalize"):
        return LossParameter.VALID if param.normalize else LossParameter.BATCH_SIZE
    return default


def normalizer(mode: int, outer: int, inner: int, valid: int, fixed: float = 1.0) -> float:
    """Return the divisor of the loss, at least 1.

    It is the number of labels, of valid labels, of items, 1, or `fixed` (PRE_FIXED of R-FCN's Caffe).
    """
    divisor = {
        LossParameter.FULL: outer * inner,
        LossParameter.VALID: valid,
        LossParameter.BATCH_SIZE: outer,
        LossParameter.NONE: 1,
        LossParameter.PRE_FIXED: fixed,
    }[mode]
    return max(1.0, float(divisor))


def ignored(param: Any) -> int | None:
    """Return `ignore_label` of a LossParameter or AccuracyParameter, or None."""
    return param.ignore_label if param.HasField("ignore_label") else None


def class_labels(label: Tensor, classes: int, ignore: int | None = None) -> tuple[Tensor, Tensor]:
    """Convert labels to class indices.

    Parameters
    ----------
    label : Tensor
        Labels of any shape; they are truncated to integers.
    classes : int
        The number of classes.
    ignore : int, optional
        The label to ignore.

    Returns
    -------
    Tensor, Tensor
        int64 indices (0 for ignored labels), and a mask of the labels that are not ignored.

    Raises
    ------
    CaffeError
        If a label is outside 0 .. classes-1, where Caffe would read beyond its arrays.
    """
    index = label.detach().long()
    valid = torch.ones_like(index, dtype=torch.bool) if ignore is None else index != ignore
    index = torch.where(valid, index, 0)
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < classes:
        invalid = index[(index < 0) | (index >= classes)]
        raise CaffeError(
            f"label {int(invalid[0])} is outside 0 .. {classes - 1}, the {classes} classes of the prediction "
            f"({invalid.numel()} such labels in this batch)"
        )
    return index, valid


def check_same_first(data: Shape, label: Shape) -> None:
    """Check that the first axes of two shapes agree (LossLayer::Reshape)."""
    if tuple(data[:1]) != tuple(label[:1]):
        raise CaffeError(
            f"data and label must have the same first dimension, received {tuple(data)} and {tuple(label)}"
        )


def check_label_count(data: Shape, label: Shape, axis: int) -> None:
    """Check that there is one label per position of `data` (a shape whose classes are along `axis`)."""
    outer, _, inner = split(data, axis)
    expected = outer * inner
    if math.prod(label) != expected:
        raise CaffeError(
            f"expected {expected} labels for predictions {tuple(data)} with the classes along axis {axis}, "
            f"received {tuple(label)}"
        )


def split(shape: Shape, axis: int) -> tuple[int, int, int]:
    """Return `shape` as (outer, classes, inner): the number of elements before, along and after `axis`."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
