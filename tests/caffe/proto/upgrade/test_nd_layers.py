"""NdConvolution and NdPooling become Convolution and Pooling with one size per axis."""

from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

NET = """
input: "data" input_shape { dim: 1 dim: 2 dim: 4 dim: 6 dim: 7 }
layer { name: "conv" type: "NdConvolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_shape { dim: 3 dim: 1 dim: 5 } stride_shape { dim: 1 dim: 2 dim: 1 }
                      pad_shape { dim: 1 dim: 0 dim: 2 } } }
layer { name: "pool" type: "NdPooling" bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_shape { dim: 1 dim: 2 dim: 2 } stride_shape { dim: 1 dim: 2 dim: 2 } } }
"""


def test_sizes_are_those_of_convolution_and_pooling():
    net = read_net_text(NET, "net.prototxt").param
    conv, pool = (layer for layer in net.layer if layer.type != "Input")
    assert (conv.type, pool.type) == ("Convolution", "Pooling")
    p = conv.convolution_param
    assert (list(p.kernel_size), list(p.stride), list(p.pad)) == ([3, 1, 5], [1, 2, 1], [1, 0, 2])
    shapes = {name: blob.shape for name, blob in Net.from_param(net, caffe_pb2.TEST, build_only=True).blobs.items()}
    assert shapes["conv"] == (1, 3, 4, 3, 7)
    assert shapes["pool"] == (1, 3, 4, 2, 4)
