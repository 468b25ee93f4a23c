"""GoogLeNet for Adience's age classes and gender (Lapuschkin et al., ICCV workshops 2017), as in the ONNX model zoo."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from agegender.inference import labels
from agegender.zoo.assemble import RATES, constant, input_net
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, Top, layers, params
from caffe.proto.caffe_pb2 import NetParameter

if TYPE_CHECKING:
    from caffe.device.transform import Transform

SHAPE = (3, 224, 224)
MEAN = (104.0, 117.0, 123.0)  # BGR, as documented by the ONNX model zoo
# name: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection (Szegedy et al. 2015, table 1)
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_XAVIER = {"type": "xavier"}


def body(classes: int) -> NetParameter:
    """The NetParameter up to the logits of `loss3/loss3` and of the two auxiliary heads of training."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, *SHAPE]}])
    top = _pool(n, "pool1/3x3_s2", conv_relu(n, "conv1/7x7_s2", n.data, 64, 7, stride=2, pad=3))
    n["pool1/norm1"] = layers.LRN(top, local_size=5, alpha=0.0001, beta=0.75)
    top = conv_relu(n, "conv2/3x3_reduce", n["pool1/norm1"], 64, 1)
    top = conv_relu(n, "conv2/3x3", top, 192, 3, pad=1)
    n["conv2/norm2"] = layers.LRN(top, local_size=5, alpha=0.0001, beta=0.75)
    top = _pool(n, "pool2/3x3_s2", n["conv2/norm2"])
    for name, widths in INCEPTIONS.items():
        top = inception(n, "inception_" + name, top, *widths)
        if name == "3b":
            top = _pool(n, "pool3/3x3_s2", top)
        elif name == "4e":
            top = _pool(n, "pool4/3x3_s2", top)
        elif name in ("4a", "4d"):
            _auxiliary_head(n, "loss1" if name == "4a" else "loss2", top, classes)
    n["pool5/7x7_s1"] = layers.Pooling(top, pool=params.Pooling.AVE, kernel_size=7, stride=1)
    n["pool5/drop_7x7_s1"] = layers.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    n["loss3/classifier_agexgender"] = _dense(n["pool5/drop_7x7_s1"], classes, 0)
    return input_net(n, (1, *SHAPE))


def conv_relu(n: NetSpec, name: str, bottom: Top, outputs: int, kernel: int, **geometry: int) -> Top:
    """Add a convolution and its ReLU; returns the top."""
    n[name] = layers.Convolution(
        bottom,
        num_output=outputs,
        kernel_size=kernel,
        param=RATES,
        weight_filler=_XAVIER,
        bias_filler=constant(0.2),
        **geometry,
    )
    folder, _, last = name.rpartition("/")
    relu = f"{folder}/relu_{last}"
    n[relu] = layers.ReLU(n[name], in_place=True)
    return n[relu]


def inception(
    n: NetSpec, name: str, bottom: Top, one: int, reduce3: int, three: int, reduce5: int, five: int, project: int
) -> Top:
    """Add an inception module: the concatenation of 1x1, 3x3, 5x5 and pool projection branches; returns the top."""
    first = conv_relu(n, name + "/1x1", bottom, one, 1)
    second = conv_relu(n, name + "/3x3_reduce", bottom, reduce3, 1)
    second = conv_relu(n, name + "/3x3", second, three, 3, pad=1)
    third = conv_relu(n, name + "/5x5_reduce", bottom, reduce5, 1)
    third = conv_relu(n, name + "/5x5", third, five, 5, pad=2)
    n[name + "/pool"] = layers.Pooling(bottom, pool=params.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    fourth = conv_relu(n, name + "/pool_proj", n[name + "/pool"], project, 1)
    n[name + "/output"] = layers.Concat(first, second, third, fourth)
    return n[name + "/output"]


def _pool(n, name, bottom):
    n[name] = layers.Pooling(bottom, pool=params.Pooling.MAX, kernel_size=3, stride=2)
    return n[name]


def _dense(bottom, outputs, bias):
    return layers.InnerProduct(
        bottom, num_output=outputs, param=RATES, weight_filler=_XAVIER, bias_filler=constant(bias)
    )


def _auxiliary_head(n, name, bottom, classes):
    n[name + "/ave_pool"] = layers.Pooling(bottom, pool=params.Pooling.AVE, kernel_size=5, stride=3)
    top = conv_relu(n, name + "/conv", n[name + "/ave_pool"], 128, 1)
    n[name + "/fc"] = _dense(top, 1024, 0.2)
    n[name + "/relu_fc"] = layers.ReLU(n[name + "/fc"], in_place=True)
    n[name + "/drop_fc"] = layers.Dropout(n[name + "/relu_fc"], dropout_ratio=0.7, in_place=True)
    n[name + "/classifier_agexgender"] = _dense(n[name + "/drop_fc"], classes, 0)


def _transform():
    """BGR with the means in that order, as documented."""
    from agegender.inference.faces import face_settings
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=224, mean=MEAN, application=face_settings.ADIENCE)


def as_scripted(transform: Transform) -> Transform:
    """The preprocessing of the ONNX model zoo's scripts: RGB with the means in BGR order, the box without a margin."""
    from agegender.inference.faces import face_settings

    return face_settings.replace(transform.replace(order="RGB"), margin=0.0)


LFS = "https://media.githubusercontent.com/media/onnx/models/main/validated/vision/body_analysis/age_gender/models/"
_LICENCE = "Apache-2.0"
_AGE_SHA256 = "fa2a3228e425056aa2b080b3afd3cf607327c86616e952602ed67b5fc16ab356"
_GENDER_SHA256 = "af24a4eaa9eaf70913cc9a337a0387c86f11549cbd9bbc16bffeefcdcf88cbf4"
_LOSSES = tuple((f"loss{i}/classifier_agexgender", "label", 1.0 if i == 3 else 0.3) for i in (1, 2, 3))

NETS = tuple(
    Net(
        name="googlenet-" + task,
        family="googlenet",
        task=task,
        title=f"GoogLeNet for {task} on Adience",
        source="Lapuschkin et al., "
        "Understanding and Comparing Deep Neural Networks for Age and Gender Classification, 2017",
        labels=net_labels,
        parameters=count,
        shape=SHAPE,
        transform=_transform,
        body=functools.partial(body, len(net_labels)),
        logits="loss3/classifier_agexgender",
        losses=_LOSSES,
        origin=Origin(f"{task}_googlenet.onnx", size, sha256, _LICENCE, (LFS + f"{task}_googlenet.onnx",)),
        blobs=("input", "loss3/loss3_Y"),
        compat=as_scripted,
        boxes=True,
    )
    for task, net_labels, count, size, sha256 in (
        ("age", labels.AGE_ADIENCE, 5981752, 23960165, _AGE_SHA256),
        ("gender", labels.MALE_FIRST, 5975602, 23935566, _GENDER_SHA256),
    )
)
