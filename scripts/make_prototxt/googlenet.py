"""GoogLeNet (Szegedy et al. 2014): nine inception modules, and two auxiliary heads for training."""

from __future__ import annotations

from parts import CLASSES, Spec, constant, rates, solver

from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
HEADS = {"4a": "loss1", "4d": "loss2"}


def conv(n, folder, name, bottom, num_output, kernel_size, **fields):
    """Convolution and ReLU, named as in the published net: folder/name, folder/relu_name."""
    return n.conv(f"{folder}/{name}", bottom, num_output, kernel_size, f"{folder}/relu_{name}", **fields)


def inception(n, block, bottom):
    """An inception module; returns its Concat."""
    one, reduce3, three, reduce5, five, project = BLOCKS[block]
    folder = "inception_" + block
    branches = [
        conv(n, folder, "1x1", bottom, one, 1),
        conv(n, folder, "3x3", conv(n, folder, "3x3_reduce", bottom, reduce3, 1), three, 3, pad=1),
        conv(n, folder, "5x5", conv(n, folder, "5x5_reduce", bottom, reduce5, 1), five, 5, pad=2),
        conv(n, folder, "pool_proj", n.pool(folder + "/pool", bottom, 3, 1, pad=1), project, 1),
    ]
    return n.join(folder + "/output", *branches)


def head(n, name, bottom):
    """An auxiliary classifier for training, with a loss weight of 0.3."""
    x = conv(n, name, "conv", n.pool(name + "/ave_pool", bottom, 5, 3, "AVE"), 128, 1)
    x = n.drop(name + "/drop_fc", n.inner(name + "/fc", x, 1024, name + "/relu_fc"), 0.7)
    x = n.inner(name + "/classifier", x, CLASSES, training=dict(bias_filler=constant(0)))
    n.end(x, name + "/loss", 0.3, name + "/top-1", name + "/top-5")


def net(train: bool) -> caffe_pb2.NetParameter:
    """The train_val net or the deploy net."""
    n = Spec(train, 224, param=rates(), weight_filler=dict(type="xavier"), bias_filler=constant(0.2))
    lrn = dict(local_size=5, alpha=1e-4, beta=0.75)
    x = n.pool("pool1/3x3_s2", conv(n, "conv1", "7x7_s2", n.data, 64, 7, pad=3, stride=2), 3, 2)
    n["pool1/norm1"] = L.LRN(x, **lrn)
    x = conv(n, "conv2", "3x3_reduce", n["pool1/norm1"], 64, 1)
    x = n["conv2/norm2"] = L.LRN(conv(n, "conv2", "3x3", x, 192, 3, pad=1), **lrn)
    x = n.pool("pool2/3x3_s2", x, 3, 2)
    for block in BLOCKS:
        x = inception(n, block, x)
        if train and block in HEADS:
            head(n, HEADS[block], x)
        if block in ("3b", "4e"):
            x = n.pool(f"pool{block[0]}/3x3_s2", x, 3, 2)
    n["pool5/7x7_s1"] = L.Pooling(x, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    x = n.drop("pool5/drop_7x7_s1", n["pool5/7x7_s1"], 0.4)
    x = n.inner("loss3/classifier", x, CLASSES, training=dict(bias_filler=constant(0)))
    n.end(x, "loss3/loss3", top1="loss3/top-1", top5="loss3/top-5")
    return n.proto("GoogLeNet", 32, 224)


def training() -> caffe_pb2.SolverParameter:
    """The solver, with a polynomial learning rate of power 1/2."""
    return solver(
        "googlenet",
        base_lr=0.01,
        lr_policy="poly",
        power=0.5,
        max_iter=2400000,
        weight_decay=2e-4,
        test_interval=4000,
        test_initialization=False,
        snapshot=40000,
    )
