"""The nets that people bring to a stick, from prototxt with seeded weights, exported once for all tests of them."""

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
    """`onnx` is a path; `picture` (1, C, H, W) and what our Net answers, `answer` (1, K)."""

    onnx: str
    picture: np.ndarray
    answer: np.ndarray


def export(name, folder):
    """Write the ONNX file of a net into `folder`. Its answers are spread over several classes, so that they tell something."""
    net = Net(str(ROOT / "prototxt" / PROTOTXT[name]), caffe_pb2.TEST)
    random = np.random.RandomState(1)
    drawn = random.standard_normal(1 << 20).astype(np.float32)
    for layer, blobs in net.params.items():
        _fill(net.layer_dict[layer].type, blobs, drawn)
    picture = random.uniform(-120, 130, net.blobs[net.inputs[0]].shape).astype(np.float32)
    net.blobs[net.inputs[0]].data[...] = picture
    net.forward()
    last = list(net.params.values())[-1]
    logits = net.blobs[net._nodes[-1].bottoms[0]].data
    for blob in last:
        blob.data[...] *= 3 / np.abs(logits).max()
    net.forward()
    path = str(folder / (name.split()[0] + ".onnx"))
    export_net(net, path)
    return Exported(path, picture, np.array(net.blobs[net.outputs[0]].data).reshape(1, -1))


def _fill(kind, blobs, drawn):
    """He's spread for weights, small biases; statistics of a BatchNorm as after a training. The numbers repeat after 2^20."""
    if kind == "BatchNorm":
        for blob, (scale, offset) in zip(blobs, ((0.1, 0), (0.1, 1), (0, 1))):
            blob.data[...] = np.resize(drawn, blob.shape) * scale + offset
        return
    spread = 0.05 if kind == "Scale" else np.sqrt(2 / np.prod(blobs[0].shape[1:]))
    blobs[0].data[...] = np.resize(drawn, blobs[0].shape) * spread + (kind == "Scale")
    for blob in blobs[1:]:
        blob.data[...] = np.resize(drawn[7:], blob.shape) * 0.05
