"""What the programs of this folder share: layers with their training fields, and the ends of a net."""

from __future__ import annotations

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

CLASSES = 1000
MEAN = [104, 117, 123]  # B, G, R of the ILSVRC-2012 training pictures


class Spec(caffe.NetSpec):
    """A NetSpec which knows whether it is to be trained: a deploy net has no fillers, rates and dropout.

    `defaults`: the fields of a weighted layer that only training needs (fillers, param).
    """

    def __init__(self, train, side, **defaults):
        super().__init__()
        vars(self).update(train=train, defaults=defaults)
        if train:
            self.data, self.label = pictures(caffe.TEST, side, 50)
        else:
            self.data = L.Input(shape=dict(dim=[1, 3, side, side]))

    def training(self, **fields):
        """The fields of a weighted layer, with `fields` in the place of defaults: none in a deploy net."""
        return {**self.defaults, **fields} if self.train else {}

    def conv(self, name, bottom, num_output, kernel_size, relu=None, training=None, **fields):
        """Convolution `name`, and an in-place ReLU behind it where `relu` names one; returns the last Top."""
        fields = {key: value for key, value in fields.items() if value is not None}
        self[name] = L.Convolution(
            bottom, num_output=num_output, kernel_size=kernel_size, **fields, **self.training(**training or {})
        )
        return self.relu(relu, self[name]) if relu else self[name]

    def inner(self, name, bottom, num_output, relu=None, training=None):
        """InnerProduct `name`, and an in-place ReLU behind it where `relu` names one; returns the last Top."""
        self[name] = L.InnerProduct(bottom, num_output=num_output, **self.training(**training or {}))
        return self.relu(relu, self[name]) if relu else self[name]

    def relu(self, name, bottom):
        """ReLU in place."""
        self[name] = L.ReLU(bottom, in_place=True)
        return self[name]

    def drop(self, name, bottom, ratio):
        """Dropout in place, where the net is to be trained."""
        if not self.train:
            return bottom
        self[name] = L.Dropout(bottom, dropout_ratio=ratio, in_place=True)
        return self[name]

    def pool(self, name, bottom, kernel_size, stride, kind="MAX", pad=None):
        """Pooling `name`."""
        fields = {} if pad is None else dict(pad=pad)
        self[name] = L.Pooling(bottom, pool=getattr(P.Pooling, kind), kernel_size=kernel_size, stride=stride, **fields)
        return self[name]

    def join(self, name, *bottoms):
        """Concat `name` of blobs along the channels."""
        self[name] = L.Concat(*bottoms)
        return self[name]

    def end(self, scores, loss="loss", weight=None, top1="accuracy", top5="accuracy_top5"):
        """Softmax loss and accuracies of `scores`, or `prob` in a deploy net (of an auxiliary head: nothing)."""
        if not self.train:
            if weight is None:
                self.prob = L.Softmax(scores)
            return
        fields = {} if weight is None else dict(loss_weight=weight)
        self[loss] = L.SoftmaxWithLoss(scores, self.label, **fields)
        test = dict(include=dict(phase=caffe.TEST))
        self[top1] = L.Accuracy(scores, self.label, **test)
        self[top5] = L.Accuracy(scores, self.label, accuracy_param=dict(top_k=5), **test)

    def proto(self, name, batch=None, side=None):
        """The NetParameter `name`; with `batch` the TRAIN pictures stand before the TEST pictures."""
        net = caffe_pb2.NetParameter(name=name)
        if self.train:
            train = caffe.NetSpec()
            train.data, train.label = pictures(caffe.TRAIN, side, batch)
            net.layer.extend(train.to_proto().layer)
        net.layer.extend(self.to_proto().layer)
        return net


def pictures(phase, side, batch):
    """The Data layer of a phase: 256 x 256 pictures cropped to `side`."""
    train = phase == caffe.TRAIN
    transform = dict(mirror=True, crop_size=side) if train else dict(crop_size=side)
    return L.Data(
        ntop=2,
        include=dict(phase=phase),
        transform_param=dict(transform, mean_value=MEAN),
        source="data/ilsvrc12/%s_lmdb" % ("train" if train else "val"),
        batch_size=batch,
        backend=P.Data.LMDB,
    )


def rates(bias=True, lr=1):
    """`param` of a layer: weights decay, biases learn twice as fast and do not decay."""
    weights = dict(lr_mult=lr, decay_mult=1)
    return [weights, dict(lr_mult=2 * lr, decay_mult=0)] if bias else [weights]


def constant(value):
    """A filler."""
    return dict(type="constant", value=value)


def gaussian(std):
    """A filler."""
    return dict(type="gaussian", std=std)


def solver(name, **fields):
    """The SolverParameter of prototxt/<name>: momentum 0.9, a test of the 50,000 validation pictures."""
    common = dict(momentum=0.9, test_iter=[1000], display=20, snapshot=10000, average_loss=40)
    common.update(net="prototxt/%s/train_val.prototxt" % name, snapshot_prefix="models/%s/%s" % (name, name))
    param = caffe_pb2.SolverParameter(**{**common, **fields})
    param.solver_mode = caffe_pb2.SolverParameter.CPU
    return param
