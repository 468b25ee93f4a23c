"""The nets of zealerww/gender_age_classification's experiments: 192x192 crops of 227x227 Adience faces, gender.

They follow TensorFlow: pooling rounds down, LRN's radius of 5, alpha and beta are expressed in Caffe's parameters,
batch normalization has an epsilon of 0.001 and a moving average of 99 %. Mistakes of the experiments
(docs/upstream-bugs.md) are fixed.
"""

from __future__ import annotations

import math
from functools import partial

from agegender.inference import labels
from agegender.zoo import vgg16
from agegender.zoo.assemble import RATES, constant, input_net
from agegender.zoo.googlenet import conv_relu, inception
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params
from caffe.proto.caffe_pb2 import NetParameter

SIDE = 192
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017
FROZEN = [{"lr_mult": 0, "decay_mult": 0}] * 2
_NO_DECAY = [{"lr_mult": 1, "decay_mult": 0}] * 2
_STATISTICS = [{"lr_mult": 0, "decay_mult": 0}] * 3


def _new_spec(side=SIDE):
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    return n


def _activate(n, number, bottom, activation):
    """ReLU, leaky ReLU of slope 0.5, or SELU as Caffe's ELU and a scale."""
    name = f"{'selu' if activation == 'selu' else 'relu'}{number}"
    if activation == "selu":
        n[f"elu{number}"] = layers.ELU(bottom, alpha=SELU_ALPHA, in_place=True)
        n[name] = layers.Power(n[f"elu{number}"], scale=SELU_SCALE)
    else:
        n[name] = layers.ReLU(bottom, in_place=True, **({"negative_slope": 0.5} if activation == "leaky" else {}))
    return n[name]


def _filler(activation, fan_in):
    """Xavier (close to TensorFlow's Glorot), or LeCun's normal, which SELU requires."""
    return {"type": "gaussian", "std": math.sqrt(1 / fan_in)} if activation == "selu" else {"type": "xavier"}


def paper(activation: str = "relu", norm: str = "lrn", classes: int = 2) -> NetParameter:
    """Levi and Hassner's net on 192 pixels.

    Parameters
    ----------
    activation : {"relu", "leaky", "selu"}
    norm : {"lrn", "batch"}
        LRN after two of the poolings, or batch normalization after each convolution.
    classes : int
    """
    n = _new_spec()
    top, channels = n.data, 3
    for number, (width, kernel, stride, pad) in enumerate(((96, 7, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1)), 1):
        n[f"conv{number}"] = top = layers.Convolution(
            top,
            num_output=width,
            kernel_size=kernel,
            stride=stride,
            pad=pad,
            param=RATES,
            weight_filler=_filler(activation, channels * kernel * kernel),
            bias_filler=constant(0),
        )
        if norm == "batch":
            top = _norm(n, f"conv{number}", top)
        top = _activate(n, number, top, activation)
        n[f"pool{number}"] = top = layers.Pooling(
            top, pool=params.Pooling.MAX, kernel_size=3, stride=2, round_mode=params.Pooling.FLOOR
        )
        if norm == "lrn" and number < 3:  # TensorFlow multiplies alpha by the plain sum of 2 * 5 + 1 squares
            n[f"norm{number}"] = top = layers.LRN(top, local_size=11, alpha=0.0011, beta=0.5)
        channels = width
    _heads(n, top, 384 * 25, activation, classes)
    return input_net(n, (1, 3, SIDE, SIDE))


def _heads(n, top, fan_in, activation, classes):
    for number in (4, 5):
        n[f"fc{number}"] = layers.InnerProduct(
            top, num_output=512, param=RATES, weight_filler=_filler(activation, fan_in), bias_filler=constant(0)
        )
        top = _activate(n, number, n[f"fc{number}"], activation)
        n[f"drop{number}"] = top = layers.Dropout(top, dropout_ratio=0.5, in_place=True)
        fan_in = 512
    n.fc6 = layers.InnerProduct(
        top, num_output=classes, param=RATES, weight_filler=_filler(activation, fan_in), bias_filler=constant(0)
    )


def _norm(n, stem, bottom):
    n["bn_" + stem] = layers.BatchNorm(bottom, eps=1e-3, moving_average_fraction=0.99, param=_STATISTICS)
    n["scale_" + stem] = layers.Scale(n["bn_" + stem], bias_term=True, param=_NO_DECAY)
    return n["scale_" + stem]


def resnet(classes: int = 2) -> NetParameter:
    """Two plain convolutions, then three stages of 3, 4 and 6 bottleneck blocks, each of which downsamples."""
    n = _new_spec()
    top = n.data
    for number, width in ((1, 32), (2, 64)):
        n[f"conv{number}"] = layers.Convolution(
            top, num_output=width, kernel_size=3, param=RATES, weight_filler={"type": "xavier"}, bias_filler=constant(0)
        )
        n[f"relu{number}"] = layers.ReLU(n[f"conv{number}"], in_place=True)
        n[f"pool{number}"] = top = layers.Pooling(
            n[f"relu{number}"], pool=params.Pooling.MAX, kernel_size=2, stride=2, round_mode=params.Pooling.FLOOR
        )
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6)), 1):
        for block in range(blocks):
            top = _bottleneck(n, f"res{stage}{'abcdef'[block]}", top, width, 2 if block == 0 else 1, block == 0)
    n.pool3 = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    n.fc = layers.InnerProduct(
        n.pool3, num_output=classes, param=RATES, weight_filler={"type": "xavier"}, bias_filler=constant(0)
    )
    return input_net(n, (1, 3, SIDE, SIDE))


def _bottleneck(n, stem, bottom, width, stride, project):
    shortcut = bottom
    if project:
        shortcut = _conv_norm(n, stem + "_project", bottom, 4 * width, 1, stride=stride)
    top = bottom
    for index, (outputs, kernel, step) in enumerate(((width, 1, stride), (width, 3, 1), (4 * width, 1, 1)), 1):
        top = _conv_norm(n, f"{stem}_{index}", top, outputs, kernel, stride=step, pad=kernel // 2)
        if index < 3:
            n[f"{stem}_relu{index}"] = top = layers.ReLU(top, in_place=True)
    n[stem] = layers.Eltwise(top, shortcut)
    n[stem + "_relu"] = layers.ReLU(n[stem], in_place=True)
    return n[stem + "_relu"]


def _conv_norm(n, stem, bottom, outputs, kernel, **geometry):
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, bias_term=False, weight_filler={"type": "msra"}, **geometry
    )
    return _norm(n, stem, n[stem])


def inception_like(classes: int = 2) -> NetParameter:
    """GoogLeNet's stem and three inception modules; our own design, since the experiment's code is not published."""
    n = _new_spec()
    top = conv_relu(n, "stem/7x7", n.data, 64, 7, stride=2, pad=3)
    n.pool1 = layers.Pooling(top, pool=params.Pooling.MAX, kernel_size=3, stride=2)
    n.pool2 = layers.Pooling(
        conv_relu(n, "stem/3x3", n.pool1, 192, 3, pad=1), pool=params.Pooling.MAX, kernel_size=3, stride=2
    )
    top = inception(n, "block1", n.pool2, 64, 96, 128, 16, 32, 32)
    n.pool3 = layers.Pooling(
        inception(n, "block2", top, 128, 128, 192, 32, 96, 64), pool=params.Pooling.MAX, kernel_size=3, stride=2
    )
    n.pool4 = layers.Pooling(
        inception(n, "block3", n.pool3, 192, 96, 208, 16, 48, 64), pool=params.Pooling.AVE, global_pooling=True
    )
    n.drop = layers.Dropout(n.pool4, dropout_ratio=0.4, in_place=True)
    n.fc = layers.InnerProduct(
        n.drop, num_output=classes, param=RATES, weight_filler={"type": "xavier"}, bias_filler=constant(0)
    )
    return input_net(n, (1, 3, SIDE, SIDE))


def vgg_face(classes: int = 2) -> NetParameter:
    """VGG-Face's convolutions, frozen, with new layers of 512; `caffe train --weights` loads its weights."""
    n = _new_spec(224)
    top = vgg16.features(n, n.data, FROZEN)
    _heads(n, top, 512 * 49, "relu", classes)
    return input_net(n, (1, 3, 224, 224))


def _transform():
    """BGR, 0..1, no mean; center crop of 192 from 227 (offset 17; the original used 14)."""
    from agegender.inference.faces import face_settings
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=227, crop=SIDE, scale=1 / 255, application=face_settings.ADIENCE)


def _vgg_transform():
    """BGR with VGG-Face's mean, as in its training. The experiment used 0..1 instead, as does --compat."""
    from agegender.inference.faces import face_settings
    from caffe.device.transform import Transform

    return Transform(
        order="BGR",
        size=224,
        mean=(93.5940, 104.7624, 129.1863),
        application=face_settings.ADIENCE,
    )


def _as_experimented(transform):
    return transform.replace(mean=None, scale=1 / 255)


def _net(name, title, parameters, body, logits, side=SIDE, transform=_transform, compat=None):
    return Net(
        name="zealerww-" + name,
        family="zealerww",
        task="gender",
        title=title,
        source="zealerww/gender_age_classification",
        labels=labels.MALE_FIRST,
        parameters=parameters,
        shape=(3, side, side),
        transform=transform,
        body=body,
        logits=logits,
        losses=((logits, "label", 1.0),),
        origin=Origin(note="the experiments' weights were never published; train the net yourself"),
        compat=compat,
    )


NETS = (
    _net("paper", "net_paper", 6693378, paper, "fc6"),
    _net("selu", "net_paper with SELU", 6693378, partial(paper, "selu"), "fc6"),
    _net("leaky", "net_paper with leaky ReLU", 6693378, partial(paper, "leaky"), "fc6"),
    _net("batchnorm", "net_paper with batch normalisation", 6696322, partial(paper, norm="batch"), "fc6"),
    _net("resnet", "net_resnet", 8585666, resnet, "fc"),
    _net("inception", "the inception-like net", 1049890, inception_like, "fc"),
    _net(
        "vggface", "VGG-Face features under new heads", 27823938, vgg_face, "fc6", 224, _vgg_transform, _as_experimented
    ),
)
