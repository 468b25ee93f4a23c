"""The nets of zealerww/gender_age_classification's experiments: 192x192 crops of 227x227 Adience faces, gender.

TensorFlow's geometry and numbers are kept: pooling rounds down, its LRN's radius 5, alpha and beta are put in Caffe's
terms, batch normalisation adds 0.001 and remembers 99 %. Where the experiments erred (docs/upstream-bugs.md) the nets do not.
"""

from __future__ import annotations

import math

from agegender.inference import labels
from agegender.zoo import vgg16
from agegender.zoo.assemble import RATES, constant, input_net
from agegender.zoo.googlenet import conv_relu, inception
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params

SIDE = 192
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017
FROZEN = [{"lr_mult": 0, "decay_mult": 0}] * 2
_ONCE = [{"lr_mult": 1, "decay_mult": 0}] * 2
_STATISTICS = [{"lr_mult": 0, "decay_mult": 0}] * 3


def _start(side=SIDE):
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    return n


def _activate(n, number, bottom, kind):
    """ReLU, leaky ReLU of slope 0.5, or SELU as Caffe's ELU and a factor."""
    name = "%s%d" % ("selu" if kind == "selu" else "relu", number)
    if kind == "selu":
        n["elu%d" % number] = layers.ELU(bottom, alpha=SELU_ALPHA, in_place=True)
        n[name] = layers.Power(n["elu%d" % number], scale=SELU_SCALE)
    else:
        n[name] = layers.ReLU(bottom, in_place=True, **({"negative_slope": 0.5} if kind == "leaky" else {}))
    return n[name]


def _filler(kind, fan_in):
    """Xavier (close to TensorFlow's Glorot), or LeCun's normal, which SELU asks for."""
    return {"type": "gaussian", "std": math.sqrt(1 / fan_in)} if kind == "selu" else {"type": "xavier"}


def paper(kind="relu", norm="lrn", classes=2):
    """Levi's net on 192 pixels; `kind` is the activation; `norm` "lrn" or "batch" (after each convolution)."""
    n = _start()
    top, have = n.data, 3
    for number, (width, kernel, stride, pad) in enumerate(((96, 7, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1)), 1):
        n["conv%d" % number] = top = layers.Convolution(
            top, num_output=width, kernel_size=kernel, stride=stride, pad=pad, param=RATES,
            weight_filler=_filler(kind, have * kernel * kernel), bias_filler=constant(0),
        )  # fmt: skip
        if norm == "batch":
            top = _norm(n, "conv%d" % number, top)
        top = _activate(n, number, top, kind)
        n["pool%d" % number] = top = layers.Pooling(
            top, pool=params.Pooling.MAX, kernel_size=3, stride=2, round_mode=params.Pooling.FLOOR
        )
        if norm == "lrn" and number < 3:  # TensorFlow multiplies alpha with the plain sum of 2 * 5 + 1 squares
            n["norm%d" % number] = top = layers.LRN(top, local_size=11, alpha=0.0011, beta=0.5)
        have = width
    _heads(n, top, 384 * 25, kind, classes)
    return input_net(n, (1, 3, SIDE, SIDE))


def _heads(n, top, have, kind, classes):
    for number in (4, 5):
        n["fc%d" % number] = layers.InnerProduct(
            top, num_output=512, param=RATES, weight_filler=_filler(kind, have), bias_filler=constant(0)
        )
        top = _activate(n, number, n["fc%d" % number], kind)
        n["drop%d" % number] = top = layers.Dropout(top, dropout_ratio=0.5, in_place=True)
        have = 512
    n.fc6 = layers.InnerProduct(
        top, num_output=classes, param=RATES, weight_filler=_filler(kind, have), bias_filler=constant(0)
    )


def _norm(n, stem, bottom):
    n["bn_" + stem] = layers.BatchNorm(bottom, eps=1e-3, moving_average_fraction=0.99, param=_STATISTICS)
    n["scale_" + stem] = layers.Scale(n["bn_" + stem], bias_term=True, param=_ONCE)
    return n["scale_" + stem]


def resnet(classes=2):
    """Two plain convolutions, then bottlenecks of 3, 4 and 6 blocks whose stages halve the plane."""
    n = _start()
    top = n.data
    for number, width in ((1, 32), (2, 64)):
        n["conv%d" % number] = layers.Convolution(
            top, num_output=width, kernel_size=3, param=RATES, weight_filler={"type": "xavier"}, bias_filler=constant(0)
        )
        n["relu%d" % number] = layers.ReLU(n["conv%d" % number], in_place=True)
        n["pool%d" % number] = top = layers.Pooling(
            n["relu%d" % number], pool=params.Pooling.MAX, kernel_size=2, stride=2, round_mode=params.Pooling.FLOOR
        )
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6)), 1):
        for block in range(blocks):
            top = _bottleneck(n, "res%d%s" % (stage, "abcdef"[block]), top, width, 2 if block == 0 else 1, block == 0)
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
        top = _conv_norm(n, "%s_%d" % (stem, index), top, outputs, kernel, stride=step, pad=kernel // 2)
        if index < 3:
            n["%s_relu%d" % (stem, index)] = top = layers.ReLU(top, in_place=True)
    n[stem] = layers.Eltwise(top, shortcut)
    n[stem + "_relu"] = layers.ReLU(n[stem], in_place=True)
    return n[stem + "_relu"]


def _conv_norm(n, stem, bottom, outputs, kernel, **geometry):
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, bias_term=False, weight_filler={"type": "msra"}, **geometry
    )
    return _norm(n, stem, n[stem])


def inception_like(classes=2):
    """Ours, since the experiment is named without code: GoogLeNet's stem and its first three blocks."""
    n = _start()
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


def vgg_face(classes=2):
    """VGG-Face's convolutions, frozen, under new heads of 512; give its weights with `caffe train --weights`."""
    n = _start(224)
    top = vgg16.features(n, n.data, FROZEN)
    _heads(n, top, 512 * 49, "relu", classes)
    return input_net(n, (1, 3, 224, 224))


def _transform():
    """Blue first, 0..1, no mean; the middle 192 of 227 (offset 17; the original cut at 14)."""
    from agegender.inference import face_crop
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=227, crop=SIDE, scale=1 / 255, landmarks=face_crop.ADIENCE)


def _vgg_transform():
    """What VGG-Face was trained on: blue first, its means. The experiment fed 0..1 instead, as --compat does."""
    from agegender.inference import face_crop
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=224, mean=(93.5940, 104.7624, 129.1863), landmarks=face_crop.ADIENCE)


def _as_experimented(transform):
    return transform.replace(mean=None, scale=1 / 255)


NETS = tuple(
    Net("zealerww-" + name, "zealerww", "gender", title, "zealerww/gender_age_classification", labels.MALE_FIRST, count,
        (3, side, side), transform, build, logits, ((logits, "label", 1.0),),
        origin=Origin(note="the experiments' weights were never published; train it"),
        compat=_as_experimented if name == "vggface" else None)
    for name, title, count, side, transform, build, logits in (
        ("paper", "net_paper", 6693378, SIDE, _transform, paper, "fc6"),
        ("selu", "net_paper with SELU", 6693378, SIDE, _transform, lambda: paper("selu"), "fc6"),
        ("leaky", "net_paper with leaky ReLU", 6693378, SIDE, _transform, lambda: paper("leaky"), "fc6"),
        ("batchnorm", "net_paper with batch normalisation", 6696322, SIDE, _transform,
         lambda: paper(norm="batch"), "fc6"),
        ("resnet", "net_resnet", 8585666, SIDE, _transform, resnet, "fc"),
        ("inception", "the inception-like net", 1049890, SIDE, _transform, inception_like, "fc"),
        ("vggface", "VGG-Face features under new heads", 27823938, 224, _vgg_transform, vgg_face, "fc6"),
    )
)  # fmt: skip
