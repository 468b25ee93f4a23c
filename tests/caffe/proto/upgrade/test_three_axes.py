"""C3D 1.0: its V1 layers over three axes are read as the layers of C3D 1.1."""

import pytest

from caffe.convert.deploy import deploy
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

C3D_V1 = """
layers { name: "data" type: VIDEO_DATA top: "data" top: "label"
  image_data_param { source: "none.txt" batch_size: 5 new_length: 4 new_height: 20 new_width: 24 crop_size: 16 use_image: true } }
layers { name: "conv" type: CONVOLUTION3D bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 5 kernel_depth: 3 pad: 2 temporal_pad: 1 stride: 2 filter_group: 1 } }
layers { name: "pool" type: POOLING3D bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 kernel_depth: 1 stride: 2 temporal_stride: 1 } }
layers { name: "up" type: DECONVOLUTION3D bottom: "pool" top: "up"
  convolution_param { num_output: 3 kernel_size: 4 kernel_depth: 2 stride: 2 temporal_stride: 2 bias_term: false } }
layers { name: "loss" type: VOXEL_SOFTMAX_LOSS bottom: "up" bottom: "label" }
"""


def built(text):
    param = deploy(read_net_text(text).param, (1, None, None, None))
    return param, Net.from_param(param, caffe_pb2.TEST)


def test_c3d_with_v1_layers():
    param, net = built(C3D_V1)
    layers = {layer.name: layer for layer in param.layer}
    conv, pool = layers["conv"].convolution3d_param, layers["pool"].pooling3d_param
    up = layers["up"].convolution_param
    assert (layers["conv"].type, layers["pool"].type, layers["up"].type) == (
        "Convolution3D",
        "Pooling3D",
        "Deconvolution",
    )
    assert (conv.kernel_size, conv.kernel_depth, conv.temporal_pad, conv.pad, conv.stride) == (5, 3, 1, 2, 2)
    assert (pool.pool, pool.kernel_size, pool.kernel_depth, pool.temporal_stride) == (pool.AVE, 2, 1, 1)
    assert (list(up.kernel_size), list(up.stride), list(up.pad)) == ([2, 4, 4], [2, 2, 2], [0, 0, 0])
    shapes = {name: blob.shape for name, blob in net.blobs.items()}
    assert shapes["data"] == (1, 3, 4, 16, 16) and shapes["conv"] == (1, 2, 4, 8, 8)
    assert shapes["pool"] == (1, 2, 4, 4, 4) and shapes["prob"] == (1, 3, 8, 10, 10)


def test_deconvolution_of_c3d_with_its_own_parameter():
    text = """layer { name: "up" type: "Deconvolution3D" bottom: "x" top: "up" convolution3d_param { num_output: 3
      kernel_size: 4 kernel_depth: 2 stride: 2 temporal_stride: 3 pad: 1 bias_term: false
      weight_filler { type: "xavier" } } }"""
    layer = read_net_text(text).param.layer[0]
    p = layer.convolution_param
    assert (layer.type, p.num_output, p.bias_term, p.weight_filler.type) == ("Deconvolution", 3, False, "xavier")
    assert (list(p.kernel_size), list(p.stride), list(p.pad)) == ([2, 4, 4], [3, 2, 2], [0, 1, 1])


def test_missing_kernel_is_an_error_of_the_layer():
    text = 'layer { name: "up" type: "Deconvolution3D" bottom: "data" top: "up" convolution_param { num_output: 3 } }'
    data = 'input: "data" input_shape { dim: 1 dim: 2 dim: 4 dim: 6 dim: 7 } '
    with pytest.raises(CaffeError, match="kernel_size must be positive"):
        Net.from_param(read_net_text(data + text).param, caffe_pb2.TEST)
