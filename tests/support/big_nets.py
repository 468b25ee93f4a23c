"""Nets that people run on a stick, from prototxt files with random weights, exported to ONNX."""

import dataclasses

import numpy as np
from support.checkout import ROOT

from caffe.convert.onnx_export import export_net
from caffe.net.net import Net
from caffe.proto import caffe_pb2

PROTOTXT = {
    "AgeNet": "AgeNet_deploy.prototxt",
    "GenderNet": "GenderNet_deploy.prototxt",
    "SqueezeNet": "squeezenet/deploy.prototxt",
    "GoogLeNet": "googlenet/deploy.prototxt",
    "ResNet-50": "resnet50/deploy.prototxt",
    "VGG-16": "vgg16/deploy.prototxt",
    "WRN-16-8 (age)": "wideresnet/wideresnet-age_deploy.prototxt",
}


@dataclasses.dataclass
class Exported:
    """Path of the ONNX file, an input of shape (1, C, H, W), and the output of caffe.Net for it, (1, K)."""

    onnx: str
    input: np.ndarray
    output: np.ndarray


def export(name, folder):
    """Write the ONNX file of a net into `folder`; the weights spread its output over several classes."""
    net = Net(str(ROOT / "prototxt" / PROTOTXT[name]), caffe_pb2.TEST)
    random = np.random.RandomState(1)
    normal = random.standard_normal(1 << 20).astype(np.float32)
    for layer, blobs in net.params.items():
        _fill(net.layer_dict[layer].type, blobs, normal)
    data = random.uniform(-120, 130, net.blobs[net.inputs[0]].shape).astype(np.float32)
    net.blobs[net.inputs[0]].data[...] = data
    net.forward()
    logits = net.blobs[net.nodes[-1].bottoms[0]].data
    for blob in list(net.params.values())[-1]:
        blob.data[...] *= 3 / np.abs(logits).max()
    net.forward()
    path = str(folder / (name.split()[0] + ".onnx"))
    export_net(net, path)
    return Exported(path, data, np.array(net.blobs[net.outputs[0]].data).reshape(1, -1))


def _fill(layer_type, blobs, normal):
    """Fill weights with He's standard deviation, biases with small values, BatchNorm with statistics as after training.

    The values repeat after len(normal), to save time.
    """
    if layer_type == "BatchNorm":
        for blob, (scale, offset) in zip(blobs, ((0.1, 0), (0.1, 1), (0, 1))):
            blob.data[...] = np.resize(normal, blob.shape) * scale + offset
        return
    std = 0.05 if layer_type == "Scale" else np.sqrt(2 / np.prod(blobs[0].shape[1:]))
    blobs[0].data[...] = np.resize(normal, blobs[0].shape) * std + (layer_type == "Scale")
    for blob in blobs[1:]:
        blob.data[...] = np.resize(normal[7:], blob.shape) * 0.05
