"""SqueezeNet 1.1 (Iandola et al. 2016): eight Fire modules; AlexNet's accuracy with 1/50 of its weights."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, solver

from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}


def fire(n, number, bottom, squeeze, expand):
    """Fire module: a 1x1 convolution squeezes the channels, parallel 1x1 and 3x3 convolutions expand them."""
    folder = f"fire{number}/"
    x = n.conv(folder + "squeeze1x1", bottom, squeeze, 1, folder + "relu_squeeze1x1")
    expand1x1 = n.conv(folder + "expand1x1", x, expand, 1, folder + "relu_expand1x1")
    expand3x3 = n.conv(folder + "expand3x3", x, expand, 3, folder + "relu_expand3x3", pad=1)
    return n.join(folder + "concat", expand1x1, expand3x3)


def net(train: bool) -> caffe_pb2.NetParameter:
    """The train_val net or the deploy net."""
    n = Spec(train, 227, weight_filler=dict(type="xavier"), bias_filler=constant(0))
    x = n.pool("pool1", n.conv("conv1", n.data, 64, 3, "relu_conv1", stride=2), 3, 2)
    for number, (squeeze, expand) in FIRES.items():
        x = fire(n, number, x, squeeze, expand)
        if number in (3, 5):
            x = n.pool(f"pool{number}", x, 3, 2)
    x = n.drop("drop9", x, 0.5)
    x = n.conv("conv10", x, CLASSES, 1, "relu_conv10", dict(weight_filler=gaussian(0.01)))
    n.pool10 = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    n.end(n.pool10)
    return n.proto("SqueezeNet_v1.1", 32, 227)


def training() -> caffe_pb2.SolverParameter:
    """The solver: 16 x 32 images per iteration, a linearly decreasing learning rate."""
    return solver(
        "squeezenet",
        base_lr=0.04,
        lr_policy="poly",
        power=1.0,
        max_iter=170000,
        weight_decay=2e-4,
        iter_size=16,
        test_interval=1000,
        test_initialization=False,
        snapshot=1000,
    )
