"""VGG-16 for apparent age (0..100) and gender (Rothe, Timofte and Van Gool, DEX), as in the ONNX model zoo."""

from __future__ import annotations

import functools

from agegender.inference import labels
from agegender.inference.faces import face_settings
from agegender.zoo.assemble import RATES, constant, gaussian, input_net
from agegender.zoo.googlenet import LFS, as_scripted
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, Top, layers, params
from caffe.proto.caffe_pb2 import NetParameter

SHAPE = (3, 224, 224)
GROUPS = ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3))  # number, width, convolutions


def body(classes: int) -> NetParameter:
    """The NetParameter up to `fc8`."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, *SHAPE]}])
    top = features(n, n.data)
    for number in (6, 7):
        n[f"fc{number}"] = _dense(top, 4096, 0.005, RATES)
        n[f"relu{number}"] = layers.ReLU(n[f"fc{number}"], in_place=True)
        n[f"drop{number}"] = top = layers.Dropout(n[f"relu{number}"], dropout_ratio=0.5, in_place=True)
    n.fc8 = _dense(top, classes, 0.01, [{"lr_mult": 10, "decay_mult": 1}, {"lr_mult": 20, "decay_mult": 0}])
    return input_net(n, (1, *SHAPE))


def features(n: NetSpec, top: Top, rates: list[dict] = RATES) -> Top:
    """Add the thirteen convolutions, `conv1_1` to `conv5_3`, and their poolings; returns pool5."""
    fillers = {"weight_filler": gaussian(0.01), "bias_filler": constant(0)}
    for group, width, count in GROUPS:
        for index in range(1, count + 1):
            name = f"{group}_{index}"
            n["conv" + name] = layers.Convolution(top, num_output=width, kernel_size=3, pad=1, param=rates, **fillers)
            n["relu" + name] = top = layers.ReLU(n["conv" + name], in_place=True)
        n[f"pool{group}"] = top = layers.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
    return top


def _dense(bottom, outputs, std, rates):
    return layers.InnerProduct(
        bottom, num_output=outputs, param=rates, weight_filler=gaussian(std), bias_filler=constant(0)
    )


def _transform():
    """Raw BGR pixels, as documented; DEX faces have a margin of 40 %."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=224, application=face_settings.settings(margin=0.4))


_AGE = Origin(
    file="vgg_ilsvrc_16_age_imdb_wiki.onnx",
    licence="research only",
    note="the published file has no known checksum: get it by hand, then run `agegender zoo convert vgg16-age FILE`",
)
_GENDER_FILE = "vgg_ilsvrc_16_gender_imdb_wiki.onnx"
_GENDER = Origin(
    file=_GENDER_FILE,
    size=537081253,
    sha256="7a7228714a0b477f16ef91aef54892aa17df050668908ea6c1334312946b4bb2",
    licence="research only",
    urls=(LFS + _GENDER_FILE,),
)

NETS = tuple(
    Net(
        name="vgg16-" + task,
        family="vgg16",
        task=task,
        title=f"VGG-16 for {task} (DEX)",
        source="Rothe, Timofte and Van Gool, DEX: Deep EXpectation, ICCV workshops 2015",
        labels=net_labels,
        parameters=count,
        shape=SHAPE,
        transform=_transform,
        body=functools.partial(body, len(net_labels)),
        logits="fc8",
        losses=(("fc8", "label", 1.0),),
        origin=origin,
        blobs=("input", "prob_Y"),
        compat=as_scripted,
        boxes=True,
    )
    for task, net_labels, count, origin in (
        ("age", labels.AGE_YEARS, 134674341, _AGE),
        ("gender", labels.FEMALE_FIRST, 134268738, _GENDER),
    )
)
