"""This package's own nets: residual nets of 0.7 and 1.6 million parameters with a shared trunk for age and gender.

They are sixteen and seven times smaller than AgeNet, and use only what a Neural Compute Stick runs in hardware: 3x3 and
1x1 convolutions, ReLU and sums. Batch normalization is folded into the convolutions of the deploy net.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from agegender.inference import labels
from agegender.inference.faces import face_settings
from agegender.zoo.assemble import constant, gaussian, input_net
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, Top, layers, params
from caffe.proto.caffe_pb2 import NetParameter

SIDE = 112
MEAN, SCALE = (104.298, 117.001, 122.782), 1 / 64  # BGR mean of face images
WIDTHS, WIDE = (16, 32, 64, 128), (24, 48, 96, 192)
BLOCKS = (1, 2, 2, 2)
_WEIGHTS = [{"lr_mult": 1, "decay_mult": 1}]
HEAD = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 1, "decay_mult": 0}]
_STATISTICS = [{"lr_mult": 0, "decay_mult": 0}] * 3
_SCALE = [{"lr_mult": 1, "decay_mult": 0}] * 2


def body(widths: Sequence[int] = WIDTHS, blocks: Sequence[int] = BLOCKS, side: int = SIDE) -> NetParameter:
    """The NetParameter up to `gender_logits` and `age_logits` (one class per year)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    return input_net(heads(n, trunk(n, n.data, widths, blocks)), (1, 3, side, side))


def trunk(n: NetSpec, bottom: Top, widths: Sequence[int], blocks: Sequence[int] = BLOCKS) -> Top:
    """Add the residual blocks, the mean over positions and a Dropout; return the features (N, widths[-1], 1, 1)."""
    top = _relu(n, "stem", _conv(n, "stem", bottom, widths[0], 3, stride=2, pad=1))
    channels = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks), 1):
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            top = _block(n, f"s{stage}b{block}", top, channels, width, stride)
            channels = width
    n.pool = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    n.drop = layers.Dropout(n.pool, dropout_ratio=0.2, in_place=True)
    return n.drop


def heads(n: NetSpec, features: Top, gender_features: Top | None = None) -> NetSpec:
    """Add `gender_logits` (2) and `age_logits` (101) on features (N, C, ...); gender can have features of its own."""
    fillers = {"weight_filler": gaussian(0.01), "bias_filler": constant(0)}
    n.gender_logits = layers.InnerProduct(gender_features or features, num_output=2, param=HEAD, **fillers)
    n.age_logits = layers.InnerProduct(features, num_output=101, param=HEAD, **fillers)
    return n


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    """Convolution, BatchNorm and Scale."""
    n[stem] = layers.Convolution(
        bottom,
        num_output=outputs,
        kernel_size=kernel,
        bias_term=False,
        weight_filler={"type": "msra"},
        param=_WEIGHTS,
        **geometry,
    )
    n["bn_" + stem] = layers.BatchNorm(n[stem], param=_STATISTICS, moving_average_fraction=0.98)
    n["scale_" + stem] = layers.Scale(n["bn_" + stem], bias_term=True, in_place=True, param=_SCALE)
    return n["scale_" + stem]


def _relu(n, stem, bottom):
    n["relu_" + stem] = layers.ReLU(bottom, in_place=True)
    return n["relu_" + stem]


def _block(n, stem, bottom, channels, outputs, stride):
    """Residual block of two 3x3 convolutions; the shortcut is a 1x1 convolution where the shape changes."""
    shortcut = bottom
    if stride > 1 or channels != outputs:
        shortcut = _conv(n, stem + "_0", bottom, outputs, 1, stride=stride)
    first = _relu(n, stem + "_1", _conv(n, stem + "_1", bottom, outputs, 3, stride=stride, pad=1))
    second = _conv(n, stem + "_2", first, outputs, 3, pad=1)
    n[stem] = layers.Eltwise(second, shortcut)
    return _relu(n, stem, n[stem])


def _transform():
    """The whole aligned face in BGR, downscaled by averaging."""
    from caffe.device.transform import Transform

    return Transform(
        order="BGR",
        size=116,
        crop=SIDE,
        mean=MEAN,
        scale=SCALE,
        shrink="area",
        application=face_settings.UTKFACE,
    )


LOSSES = (("gender_logits", "gender", 1.0), ("age_logits", "age", 1.0))

SIZES = (
    ("compact", "Compact residual net", WIDTHS, {"age": 707365, "gender": 694594},
     "in the package; trained by agegender train --recipe compact-all"),
    ("compact-wide", "Compact residual net, 1.5 times as wide", WIDE, {"age": 1580549, "gender": 1561442},
     "trained by agegender train --recipe compact-wide"),
)  # fmt: skip
NETS = tuple(
    Net(
        name=f"{stem}-{task}",
        family="compact",
        task=task,
        title=f"{title}, {task}",
        source="caffe2ncs",
        labels=net_labels,
        parameters=counts[task],
        shape=(3, SIDE, SIDE),
        transform=_transform,
        body=functools.partial(body, widths),
        logits=task + "_logits",
        losses=LOSSES,
        weights=stem,
        origin=Origin(note=note),
        folded=True,
    )
    for stem, title, widths, counts, note in SIZES
    for task, net_labels in (("age", labels.AGE_DECADES), ("gender", labels.MALE_FIRST))
)
