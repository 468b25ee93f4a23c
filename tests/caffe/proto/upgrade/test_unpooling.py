"""Unpooling of DeconvNet becomes Upsample."""

import numpy as np
import pytest

from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

NET = """
input: "data" input_shape { dim: 1 dim: 2 dim: 6 dim: 6 }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" top: "mask"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Unpooling" bottom: "pool" bottom: "mask" top: "up" %s }
"""
FORMS = [
    "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 6 }",
    "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 }",
    "pooling_param { pool: MAX kernel_size: 2 stride: 2 }",
]


@pytest.mark.parametrize("text", FORMS)
def test_maxima_return_to_their_positions(text):
    net = Net.from_param(read_net_text(NET % text, "net.prototxt").param, caffe_pb2.TEST)
    x = np.random.default_rng(1).permutation(72).reshape(1, 2, 6, 6).astype(np.float32) + 1
    net.blobs["data"].data[...] = x
    maxima = np.repeat(np.repeat(x.reshape(1, 2, 3, 2, 3, 2).max((3, 5)), 2, 2), 2, 3)
    np.testing.assert_array_equal(net.forward()["up"], np.where(x == maxima, x, 0))


@pytest.mark.parametrize(
    "text",
    [
        "unpooling_param { unpool: AVE kernel_size: 2 stride: 2 }",
        "unpooling_param { unpool: MAX kernel_size: 3 stride: 2 }",
    ],
)
def test_other_forms_keep_their_type(text):
    assert read_net_text(NET % text, "net.prototxt").param.layer[-1].type == "Unpooling"
