"""ResNet-50 (He et al. 2015) with the authors' layer names and the stride in a block's first 1x1 convolution."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, rates, solver

from caffe import layers as L
from caffe import params as P

STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 6), 5: (512, 3)}


def conv(n, name, bottom, channels, kernel, stride=1, relu=None):
    """Convolution, BatchNorm and Scale (which holds the bias), and a ReLU where `relu` names it.

    `name` is conv1, or 2a_branch2b: res2a_branch2b, bn2a_branch2b, scale2a_branch2b.
    """
    first = name == "conv1"
    own, bn, scale = (name, "bn_" + name, "scale_" + name) if first else ("res" + name, "bn" + name, "scale" + name)
    x = n.conv(own, bottom, channels, kernel, stride=stride, pad=kernel // 2 or None, bias_term=False)
    fixed = dict(param=[dict(lr_mult=0, decay_mult=0)] * 3) if n.train else {}
    x = n[bn] = L.BatchNorm(x, in_place=True, **fixed)
    learned = dict(param=[dict(lr_mult=1, decay_mult=0)] * 2) if n.train else {}
    x = n[scale] = L.Scale(x, in_place=True, bias_term=True, **learned)
    return n.relu(relu, x) if relu else x


def block(n, name, bottom, channels, stride):
    """A bottleneck block; its first in a stage (a) has a projection in the place of the identity."""
    shortcut = bottom
    if name.endswith("a"):
        shortcut = conv(n, name + "_branch1", bottom, 4 * channels, 1, stride)
    x = conv(n, name + "_branch2a", bottom, channels, 1, stride, "res%s_branch2a_relu" % name)
    x = conv(n, name + "_branch2b", x, channels, 3, 1, "res%s_branch2b_relu" % name)
    x = conv(n, name + "_branch2c", x, 4 * channels, 1)
    n["res" + name] = L.Eltwise(shortcut, x, operation=P.Eltwise.SUM)
    return n.relu("res%s_relu" % name, n["res" + name])


def net(train):
    """NetParameter of the train_val net, or of the deploy net."""
    n = Spec(train, 224, param=rates(bias=False), weight_filler=dict(type="msra"))
    x = n.pool("pool1", conv(n, "conv1", n.data, 64, 7, 2, "conv1_relu"), 3, 2)
    for stage, (channels, count) in STAGES.items():
        for i in range(count):
            x = block(n, "%d%s" % (stage, "abcdef"[i]), x, channels, 2 if stage > 2 and not i else 1)
    x = n.pool("pool5", x, 7, 1, "AVE")
    last = dict(param=rates(), weight_filler=gaussian(0.01), bias_filler=constant(0))
    n.end(n.inner("fc1000", x, CLASSES, training=last))
    return n.proto("ResNet-50", 32, 224)


def training():
    """The solver: 256 pictures an iteration, the rate a tenth twice."""
    return solver(
        "resnet50", base_lr=0.1, lr_policy="multistep", gamma=0.1, stepvalue=[150000, 300000, 450000],
        max_iter=600000, weight_decay=1e-4, iter_size=8, test_interval=5000, test_initialization=False,
    )  # fmt: skip
