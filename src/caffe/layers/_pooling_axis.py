"""The windows of pooling along one axis."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
    """Windows along an axis of `size` values: `out` windows of `kernel` values, `stride` apart, starting at -`pad`.

    `end` is the padding at the end.
    """

    size: int
    kernel: int
    stride: int
    pad: int
    out: int
    end: int

    @property
    def overhang(self) -> int:
        """By how many values the last window exceeds the end of the bottom."""
        return max(0, (self.out - 1) * self.stride + self.kernel - self.size - self.pad)

    @property
    def lengths(self) -> np.ndarray:
        """The number of values per window that Caffe's AVE counts: bottom and padding, but nothing beyond."""
        starts = np.arange(self.out) * self.stride - self.pad
        return np.minimum(starts + self.kernel, self.size + self.end) - starts

    @property
    def inside(self) -> np.ndarray:
        """The number of values of the bottom in each window."""
        starts = np.arange(self.out) * self.stride - self.pad
        return np.minimum(starts + self.kernel, self.size) - np.maximum(starts, 0)

    def torch_agrees(self, ceil: bool) -> bool:
        """Return whether torch pools the same windows: it limits padding to half a kernel and rounds differently."""
        room = self.size + 2 * self.pad - self.kernel + (self.stride - 1 if ceil else 0)
        out = room // self.stride + 1
        if ceil and (out - 1) * self.stride >= self.size + self.pad:
            out -= 1
        return self.pad == self.end <= self.kernel // 2 and out == self.out
