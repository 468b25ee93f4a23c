"""Random layers and nets with and without optimization passes, including degenerate sizes; tests/differential runs more."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import caffe
from caffe.core import layout
from caffe.proto import caffe_pb2, text

RUNNER = str(Path(__file__).parents[2] / "differential")

ONE_CHANNEL = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 1 dim: 8 dim: 5 } } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "y"
      convolution_param { num_output: 3 kernel_h: 1 kernel_w: 5 stride_h: 1 stride_w: 2
        weight_filler { type: "constant" value: 0.2 } } }
"""
OUTSIDE_THE_PLANE = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 dim: 17 dim: 1 } } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "y"
      convolution_param { num_output: 16 kernel_h: 5 kernel_w: 1 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 1
        dilation: 1 dilation: 2 weight_filler { type: "gaussian" std: 1 }
        bias_filler { type: "constant" value: 0.5 } } }
"""


@pytest.mark.parametrize(
    "kind, precision, settings",
    [("single", "float32", 640), ("single", "bf16", 160), ("chain", "float32", 50), ("chain", "bf16", 50)],
)
def test_random_nets_are_equal_with_and_without_the_passes(kind, precision, settings):
    command = [sys.executable, RUNNER, "--kind", kind, "--precision", precision, "--settings", str(settings)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr


def make(definition):
    param = caffe_pb2.NetParameter()
    text.parse(definition, param)
    return caffe.Net.from_param(param, caffe.TEST)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_one_channel_with_a_stride_and_a_single_window(precision):
    net = make(ONE_CHANNEL)
    net.set_precision(precision)
    rows = np.arange(16, dtype=np.float32).reshape(2, 1, 8, 1)
    net.blobs["x"].data[...] = rows  # the mean of five equal values is the value
    net.forward()
    np.testing.assert_allclose(net.blobs["y"].data, np.broadcast_to(rows, (2, 3, 8, 1)), rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_windows_in_the_padding_give_the_bias(precision):
    net = make(OUTSIDE_THE_PLANE)
    net.set_precision(precision)
    net.blobs["x"].data[...] = 7
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, np.full((2, 16, 5, 2), 0.5, np.float32))


@pytest.mark.parametrize("shape", [(2, 1, 3, 4), (2, 3, 1, 4), (2, 3, 4, 1), (1, 1, 1, 1), (0, 1, 3, 4)])
def test_tensors_with_an_axis_of_one_are_in_c_order(shape):
    tensor = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    result = layout.lay_out(tensor, torch.channels_last)
    assert result.stride() == torch.empty(shape).stride()
    assert torch.equal(result, tensor)


def test_other_tensors_are_channels_last():
    result = layout.lay_out(torch.rand(1, 2, 3, 4), torch.channels_last)
    assert result.stride() == (24, 1, 8, 2)
