"""Optimization passes: they make a Net faster without changing its results, and run in the order of PASSES.

A pass inspects the nodes (net.Node) once, when the net is built. It either sets the memory layout of a layer or
installs a runner, which replaces the layer's `forward_blobs` and `backward_blobs`. A runner requires that all nodes
within the node's `reach` run together; otherwise `fall_back()` is called and the layer itself runs. NumPy sees the same
blobs with and without passes. `caffe.core.config.set_optimize(False)` or CAFFE_DISABLE_PASSES=1 disables all passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.passes.channels_last import channels_last
from caffe.passes.fft_convolution import fourier_convolution
from caffe.passes.fuse_batch_norm import scale_in_batch_norm
from caffe.passes.inplace_relu import relu_in_place
from caffe.passes.native_kernels import native_kernels
from caffe.passes.relu_in_convolution import relu_in_convolution
from caffe.passes.swap_pool_relu import pool_before_relu
from caffe.passes.weights_gradient import weights_gradient

PASSES = (
    channels_last,  # convolution, pooling and LRN use N x H x W x C memory
    weights_gradient,  # up to twice as fast as oneDNN's kernel
    native_kernels,  # LRN and pooling traverse memory once, depthwise convolutions multiply whole vectors of channels
    fourier_convolution,  # needs a third to a sixth of the multiplications
    pool_before_relu,  # after max pooling, ReLU processes a quarter of the values
    scale_in_batch_norm,  # BatchNorm, Scale and ReLU traverse memory once instead of three times
    relu_in_place,  # ReLU overwrites the output of a convolution or sum
    relu_in_convolution,  # the convolution applies that ReLU
)


def apply(nodes: Sequence[Any]) -> None:
    """Run every pass over `nodes`."""
    for run_pass in PASSES:
        run_pass(nodes)
