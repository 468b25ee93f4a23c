"""VGG-16 (Simonyan & Zisserman 2014, configuration D): thirteen 3x3 convolutions and three InnerProducts."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, rates, solver

from caffe.proto import caffe_pb2

GROUPS = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def net(train: bool) -> caffe_pb2.NetParameter:
    """The train_val net or the deploy net."""
    n = Spec(train, 224, param=rates(), weight_filler=dict(type="msra"), bias_filler=constant(0))
    x = n.data
    for group, (channels, count) in enumerate(GROUPS, 1):
        for i in range(1, count + 1):
            x = n.conv(f"conv{group}_{i}", x, channels, 3, f"relu{group}_{i}", pad=1)
        x = n.pool(f"pool{group}", x, 2, 2)
    for i in "67":
        x = n.inner("fc" + i, x, 4096, "relu" + i, dict(weight_filler=gaussian(0.005)))
        x = n.drop("drop" + i, x, 0.5)
    n.end(n.inner("fc8", x, CLASSES, training=dict(weight_filler=gaussian(0.01))))
    return n.proto("VGG_ILSVRC_16_layers", 32, 224)


def training() -> caffe_pb2.SolverParameter:
    """The solver: 74 epochs with 8 x 32 images per iteration, as in the paper."""
    return solver(
        "vgg16",
        base_lr=0.01,
        lr_policy="step",
        gamma=0.1,
        stepsize=100000,
        max_iter=370000,
        weight_decay=5e-4,
        iter_size=8,
        test_interval=5000,
        test_initialization=False,
    )
