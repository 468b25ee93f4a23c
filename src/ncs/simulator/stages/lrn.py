"""LRN and InnerLRN: local response normalization across channels or within each channel."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("LRN")
def lrn(call: Call) -> None:
    """x / (k + alpha / size · sum of squares over `size` channels)^beta. Tensors: input, output."""
    size, k, alpha, beta = call.params("Ieee")  # the compiler stores FP16
    image = call.image(0)
    before = (size - 1) // 2
    squares = np.pad(image**2, ((0, 0), (before, size - 1 - before), (0, 0), (0, 0)))
    sums = sum(squares[:, begin : begin + image.shape[1]] for begin in range(size))
    call.write_image(1, image / (k + alpha / size * sums) ** np.float32(beta))


@stage("InnerLRN")
def inner_lrn(call: Call) -> None:
    """The same over `size` x `size` positions of one channel. Tensors: input, output."""
    size, k, alpha, beta = call.params("Ieee")
    image = call.image(0)
    before = (size - 1) // 2
    pad = (before, size - 1 - before)
    squares = np.pad(image**2, ((0, 0), (0, 0), pad, pad))
    zeros = np.zeros_like(squares[:, :, : image.shape[2]])
    rows = sum((squares[:, :, begin : begin + image.shape[2]] for begin in range(size)), zeros)
    sums = sum(rows[:, :, :, begin : begin + image.shape[3]] for begin in range(size))
    call.write_image(1, image / (k + alpha / size**2 * sums) ** np.float32(beta))
