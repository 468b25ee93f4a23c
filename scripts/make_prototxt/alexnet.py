"""CaffeNet: AlexNet (Krizhevsky et al. 2012) as in Caffe, for one device and with pooling before LRN."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, rates, solver

from caffe import layers as L
from caffe.proto import caffe_pb2


def net(train: bool) -> caffe_pb2.NetParameter:
    """The train_val net or the deploy net."""
    n = Spec(train, 227, param=rates(), weight_filler=gaussian(0.01), bias_filler=constant(0))
    bias_one = dict(bias_filler=constant(1))
    x = n.conv("conv1", n.data, 96, 11, "relu1", stride=4)
    n.norm1 = L.LRN(n.pool("pool1", x, 3, 2), local_size=5, alpha=1e-4, beta=0.75)
    x = n.conv("conv2", n.norm1, 256, 5, "relu2", bias_one, pad=2, group=2)
    n.norm2 = L.LRN(n.pool("pool2", x, 3, 2), local_size=5, alpha=1e-4, beta=0.75)
    x = n.conv("conv3", n.norm2, 384, 3, "relu3", pad=1)
    x = n.conv("conv4", x, 384, 3, "relu4", bias_one, pad=1, group=2)
    x = n.conv("conv5", x, 256, 3, "relu5", bias_one, pad=1, group=2)
    x = n.pool("pool5", x, 3, 2)
    for i in "67":
        x = n.inner("fc" + i, x, 4096, "relu" + i, dict(bias_one, weight_filler=gaussian(0.005)))
        x = n.drop("drop" + i, x, 0.5)
    n.end(n.inner("fc8", x, CLASSES))
    return n.proto("CaffeNet", 256, 227)


def training() -> caffe_pb2.SolverParameter:
    """The solver: 90 epochs with batches of 256 images."""
    return solver(
        "alexnet",
        base_lr=0.01,
        lr_policy="step",
        gamma=0.1,
        stepsize=100000,
        max_iter=450000,
        weight_decay=5e-4,
        test_interval=1000,
    )
