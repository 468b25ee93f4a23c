"""ResNet-50 (He et al. 2015) with the authors' layer names; a block's first 1x1 convolution has the stride."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, rates, solver

from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 6), 5: (512, 3)}


def conv(n, name, bottom, channels, kernel, stride=1, relu=None):
    """Convolution, BatchNorm and Scale (which has the bias), and a ReLU named `relu` if given.

    `name` is conv1, or for example 2a_branch2b, for the layers res2a_branch2b, bn2a_branch2b and scale2a_branch2b.
    """
    first = name == "conv1"
    layer, bn, scale = (name, "bn_" + name, "scale_" + name) if first else ("res" + name, "bn" + name, "scale" + name)
    x = n.conv(layer, bottom, channels, kernel, stride=stride, pad=kernel // 2 or None, bias_term=False)
    fixed = dict(param=[dict(lr_mult=0, decay_mult=0)] * 3) if n.train else {}
    x = n[bn] = L.BatchNorm(x, in_place=True, **fixed)
    trained = dict(param=[dict(lr_mult=1, decay_mult=0)] * 2) if n.train else {}
    x = n[scale] = L.Scale(x, in_place=True, bias_term=True, **trained)
    return n.relu(relu, x) if relu else x


def block(n, name, bottom, channels, stride):
    """A bottleneck block; the first of a stage (a) has a projection instead of the identity."""
    shortcut = bottom
    if name.endswith("a"):
        shortcut = conv(n, name + "_branch1", bottom, 4 * channels, 1, stride)
    x = conv(n, name + "_branch2a", bottom, channels, 1, stride, f"res{name}_branch2a_relu")
    x = conv(n, name + "_branch2b", x, channels, 3, 1, f"res{name}_branch2b_relu")
    x = conv(n, name + "_branch2c", x, 4 * channels, 1)
    n["res" + name] = L.Eltwise(shortcut, x, operation=P.Eltwise.SUM)
    return n.relu(f"res{name}_relu", n["res" + name])


def net(train: bool) -> caffe_pb2.NetParameter:
    """The train_val net or the deploy net."""
    n = Spec(train, 224, param=rates(bias=False), weight_filler=dict(type="msra"))
    x = n.pool("pool1", conv(n, "conv1", n.data, 64, 7, 2, "conv1_relu"), 3, 2)
    for stage, (channels, count) in STAGES.items():
        for i in range(count):
            x = block(n, f"{stage}{'abcdef'[i]}", x, channels, 2 if stage > 2 and not i else 1)
    x = n.pool("pool5", x, 7, 1, "AVE")
    last = dict(param=rates(), weight_filler=gaussian(0.01), bias_filler=constant(0))
    n.end(n.inner("fc1000", x, CLASSES, training=last))
    return n.proto("ResNet-50", 32, 224)


def training() -> caffe_pb2.SolverParameter:
    """The solver: 256 images per iteration, a tenth of the learning rate after each step value."""
    return solver(
        "resnet50",
        base_lr=0.1,
        lr_policy="multistep",
        gamma=0.1,
        stepvalue=[150000, 300000, 450000],
        max_iter=600000,
        weight_decay=1e-4,
        iter_size=8,
        test_interval=5000,
        test_initialization=False,
    )
