"""CaffeNet: AlexNet (Krizhevsky et al. 2012) as Caffe trains it, on one processor and with pooling before LRN."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, gaussian, rates, solver

from caffe import layers as L


def net(train):
    """NetParameter of the train_val net, or of the deploy net."""
    n = Spec(train, 227, param=rates(), weight_filler=gaussian(0.01), bias_filler=constant(0))
    one = dict(bias_filler=constant(1))
    x = n.conv("conv1", n.data, 96, 11, "relu1", stride=4)
    n.norm1 = L.LRN(n.pool("pool1", x, 3, 2), local_size=5, alpha=1e-4, beta=0.75)
    x = n.conv("conv2", n.norm1, 256, 5, "relu2", one, pad=2, group=2)
    n.norm2 = L.LRN(n.pool("pool2", x, 3, 2), local_size=5, alpha=1e-4, beta=0.75)
    x = n.conv("conv3", n.norm2, 384, 3, "relu3", pad=1)
    x = n.conv("conv4", x, 384, 3, "relu4", one, pad=1, group=2)
    x = n.conv("conv5", x, 256, 3, "relu5", one, pad=1, group=2)
    x = n.pool("pool5", x, 3, 2)
    for i in "67":
        x = n.inner("fc" + i, x, 4096, "relu" + i, dict(one, weight_filler=gaussian(0.005)))
        x = n.drop("drop" + i, x, 0.5)
    n.end(n.inner("fc8", x, CLASSES))
    return n.proto("CaffeNet", 256, 227)


def training():
    """The solver: 90 epochs of 256 pictures."""
    return solver(
        "alexnet", base_lr=0.01, lr_policy="step", gamma=0.1, stepsize=100000, max_iter=450000, weight_decay=5e-4,
        test_interval=1000,
    )  # fmt: skip
