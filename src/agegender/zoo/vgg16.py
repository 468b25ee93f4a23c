"""VGG-16 for apparent age (0..100) and gender (Rothe, Timofte and Van Gool, DEX), as in the ONNX model zoo."""

from __future__ import annotations

import functools

from agegender.inference import labels
from agegender.zoo.assemble import RATES, constant, gaussian, input_net
from agegender.zoo.googlenet import LFS, as_scripted
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params

SHAPE = (3, 224, 224)
GROUPS = ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3))  # number, width, convolutions


def body(classes):
    """The NetParameter up to `fc8`."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, *SHAPE]}])
    top = features(n, n.data)
    for number in (6, 7):
        n["fc%d" % number] = _dense(top, 4096, 0.005, RATES)
        n["relu%d" % number] = layers.ReLU(n["fc%d" % number], in_place=True)
        n["drop%d" % number] = top = layers.Dropout(n["relu%d" % number], dropout_ratio=0.5, in_place=True)
    n.fc8 = _dense(top, classes, 0.01, [{"lr_mult": 10, "decay_mult": 1}, {"lr_mult": 20, "decay_mult": 0}])
    return input_net(n, (1, *SHAPE))


def features(n, top, rates=RATES):
    """The thirteen convolutions, `conv1_1` to `conv5_3`, and their pools; returns pool5."""
    for group, width, count in GROUPS:
        for index in range(1, count + 1):
            name = "%d_%d" % (group, index)
            n["conv" + name] = layers.Convolution(
                top, num_output=width, kernel_size=3, pad=1, param=rates, weight_filler=gaussian(0.01),
                bias_filler=constant(0),
            )  # fmt: skip
            n["relu" + name] = top = layers.ReLU(n["conv" + name], in_place=True)
        n["pool%d" % group] = top = layers.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
    return top


def _dense(bottom, outputs, std, rates):
    return layers.InnerProduct(
        bottom, num_output=outputs, param=rates, weight_filler=gaussian(std), bias_filler=constant(0)
    )


def _transform():
    """Raw pixels, blue first, as the zoo documents; DEX faces have 40 % margin."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=224, margin=0.4)


_GENDER = "vgg_ilsvrc_16_gender_imdb_wiki.onnx"

NETS = tuple(
    Net("vgg16-" + task, "vgg16", task, f"VGG-16 for {task} (DEX)",
        "Rothe, Timofte and Van Gool, DEX: Deep EXpectation, ICCV workshops 2015", kinds, count, SHAPE, _transform,
        functools.partial(body, len(kinds)), "fc8", (("fc8", "label", 1.0),), origin=origin,
        blobs=("input", "prob_Y"), compat=as_scripted, boxes=True)
    for task, kinds, count, origin in (
        ("age", labels.AGE_YEARS, 134674341, Origin(
            "vgg_ilsvrc_16_age_imdb_wiki.onnx", licence="research only",
            note="the zoo's file has no checksum known here: fetch it by hand, then `agegender zoo convert vgg16-age FILE`")),
        ("gender", labels.FEMALE_FIRST, 134268738, Origin(
            _GENDER, 537081253, "7a7228714a0b477f16ef91aef54892aa17df050668908ea6c1334312946b4bb2", "research only",
            (LFS + _GENDER,))),
    )
)  # fmt: skip
