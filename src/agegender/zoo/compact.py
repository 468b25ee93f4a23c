"""The toolkit's own nets: residual nets of 0.7 and 1.6 million parameters that tell age and gender from one trunk.

Sixteen and seven times smaller than AgeNet. Made of what a Neural Compute Stick does in hardware: 3x3 and 1x1 convolutions,
ReLU and sums; batch normalisation is folded into the convolutions of the deploy net.
"""

from __future__ import annotations

import functools

from agegender.inference import face_crop, labels
from agegender.zoo.assemble import constant, gaussian, input_net
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params

SIDE = 112
MEAN, SCALE = (104.298, 117.001, 122.782), 1 / 64  # of faces in general, blue first
WIDTHS, WIDE = (16, 32, 64, 128), (24, 48, 96, 192)
BLOCKS = (1, 2, 2, 2)
LEARNED = [{"lr_mult": 1, "decay_mult": 1}]
HEAD = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 1, "decay_mult": 0}]
_STATISTICS = [{"lr_mult": 0, "decay_mult": 0}] * 3
_SCALE = [{"lr_mult": 1, "decay_mult": 0}] * 2


def body(widths=WIDTHS, blocks=BLOCKS, side=SIDE):
    """The NetParameter up to `gender_logits` and `age_logits` (a class a year)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    top = _relu(n, "stem", _conv(n, "stem", n.data, widths[0], 3, stride=2, pad=1))
    have = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks), 1):
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            top = _block(n, "s%db%d" % (stage, block), top, have, width, stride)
            have = width
    n.pool = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    n.drop = layers.Dropout(n.pool, dropout_ratio=0.2, in_place=True)
    return input_net(heads(n, n.drop), (1, 3, side, side))


def heads(n, features):
    """Both answers, from (N, C, 1, 1) `features`."""
    n.gender_logits = layers.InnerProduct(
        features, num_output=2, param=HEAD, weight_filler=gaussian(0.01), bias_filler=constant(0)
    )
    n.age_logits = layers.InnerProduct(
        features, num_output=101, param=HEAD, weight_filler=gaussian(0.01), bias_filler=constant(0)
    )
    return n


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    """Convolution, BatchNorm and Scale."""
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, bias_term=False, weight_filler={"type": "msra"}, param=LEARNED,
        **geometry,
    )  # fmt: skip
    n["bn_" + stem] = layers.BatchNorm(n[stem], param=_STATISTICS, moving_average_fraction=0.98)
    n["scale_" + stem] = layers.Scale(n["bn_" + stem], bias_term=True, in_place=True, param=_SCALE)
    return n["scale_" + stem]


def _relu(n, stem, bottom):
    n["relu_" + stem] = layers.ReLU(bottom, in_place=True)
    return n["relu_" + stem]


def _block(n, stem, bottom, have, outputs, stride):
    """Two 3x3 convolutions beside what comes in, or beside a 1x1 convolution of it where the shape changes."""
    shortcut = bottom
    if stride > 1 or have != outputs:
        shortcut = _conv(n, stem + "_0", bottom, outputs, 1, stride=stride)
    first = _relu(n, stem + "_1", _conv(n, stem + "_1", bottom, outputs, 3, stride=stride, pad=1))
    second = _conv(n, stem + "_2", first, outputs, 3, pad=1)
    n[stem] = layers.Eltwise(second, shortcut)
    return _relu(n, stem, n[stem])


def _transform():
    """The whole aligned chip, blue first, averaged down."""
    from caffe.device.transform import Transform

    return Transform(
        order="BGR", size=116, crop=SIDE, mean=MEAN, scale=SCALE, shrink="area", landmarks=face_crop.UTKFACE
    )


LOSSES = (("gender_logits", "gender", 1.0), ("age_logits", "age", 1.0))

SIZES = (
    ("compact", "Compact residual net", WIDTHS, {"age": 707365, "gender": 694594},
     "in the package; trained by agegender train --recipe compact-distilled"),
    ("compact-wide", "Compact residual net, half as wide again", WIDE, {"age": 1580549, "gender": 1561442},
     "trained by agegender train --recipe compact-wide"),
)  # fmt: skip
NETS = tuple(
    Net(f"{stem}-{task}", "compact", task, f"{title}, {task}", "this toolkit", kinds, counts[task], (3, SIDE, SIDE),
        _transform, functools.partial(body, widths), task + "_logits", LOSSES, stem, Origin(note=note), folded=True)
    for stem, title, widths, counts, note in SIZES
    for task, kinds in (("age", labels.AGE_DECADES), ("gender", labels.MALE_FIRST))
)  # fmt: skip
