"""What makes a Net fast without changing what it computes: passes over its nodes, in the order of this table.

A pass looks at the nodes (net.Node) once, when the net is made, and either gives a layer a layout or puts a
runner in the place of a layer, with the layer's `forward_blobs` and `backward_blobs`. A runner counts on all nodes
within the node's `reach` running together; where they do not, its `fall_back()` is called before the layer itself
runs in its own place. Blobs look to NumPy as they do without. `caffe.core.config.set_fast(False)` or CAFFE_DISABLE_PASSES=1
leaves all of it out.
"""

from caffe.passes.channels_last import channels_last
from caffe.passes.fft_convolution import fourier_convolution
from caffe.passes.fuse_batch_norm import scale_in_batch_norm
from caffe.passes.inplace_relu import relu_in_place
from caffe.passes.swap_pool_relu import pool_before_relu

PASSES = (
    channels_last,  # convolutions, pooling and LRN read and write N x H x W x C memory
    fourier_convolution,  # a third to a sixth of the multiplications
    pool_before_relu,  # max pooling leaves ReLU a quarter of the values, and of the memory traffic
    scale_in_batch_norm,  # BatchNorm, Scale and ReLU go through memory once, not once each
    relu_in_place,  # what a convolution or a sum wrote is rectified where it stands
)


def apply(nodes):
    """Run every pass over `nodes`."""
    for each in PASSES:
        each(nodes)
