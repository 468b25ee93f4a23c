"""Worker: only the convolutions of a net, forward and backward. convolution_bound.py SOLVER PRECISION THREADS

The time of oneDNN for them is a lower bound for a training step: each one alone, with its data already in NHWC memory.
"""

import sys

from caffe.core import malloc  # before torch: it configures how threads wait

import torch  # isort: skip
from worker import serve

from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_solver


def convolution(node, dtype):
    """Return a function that runs the convolution of `node` and its backward pass."""
    window, group = node.layer.window, node.layer.param.convolution_param.group
    x, weight, y = (
        torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
        for shape in (node.bottom_blobs[0].shape, node.layer.blobs[0].shape, node.top_blobs[0].shape)
    )
    bias = torch.zeros(y.shape[1], dtype=dtype)
    geometry = (list(window.stride), list(window.pad), list(window.dilation))
    output_mask = [node.bottom_need_backward[0], True, True]

    def run():
        torch.nn.functional.conv2d(x, weight, bias, *geometry, group)
        torch.ops.aten.convolution_backward(y, x, weight, [y.shape[1]], *geometry, False, [0, 0], group, output_mask)

    return run


def main(solver, precision, threads):
    torch.set_num_threads(int(threads))
    malloc.retain_freed_memory()
    net = Net(read_solver(solver).param.net, caffe_pb2.TRAIN)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    convolutions = [convolution(node, dtype) for node in net.nodes if node.layer.type == "Convolution"]

    def step():
        with torch.no_grad():
            for run in convolutions:
                run()

    serve(step)


if __name__ == "__main__":
    main(*sys.argv[1:])
