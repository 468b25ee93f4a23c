"""Shared parts of the generators: layers with their training fields, data layers, losses and solvers."""

from __future__ import annotations

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2

CLASSES = 1000
MEAN = [104, 117, 123]  # BGR mean of the ILSVRC-2012 training images


class Spec(caffe.NetSpec):
    """A NetSpec for training or deployment; a deploy net has no fillers, learning rates and dropout.

    Parameters
    ----------
    train : bool
    side : int
        Width and height of the input in pixels.
    **defaults
        Fields of layers with weights that only training needs (fillers, param).
    """

    def __init__(self, train: bool, side: int, **defaults):
        super().__init__()
        vars(self).update(train=train, defaults=defaults)
        if train:
            self.data, self.label = data_layer(caffe.TEST, side, 50)
        else:
            self.data = L.Input(shape=dict(dim=[1, 3, side, side]))

    def training(self, **fields):
        """Training fields of a layer with weights: the defaults updated with `fields`; none in a deploy net."""
        return {**self.defaults, **fields} if self.train else {}

    def conv(self, name, bottom, num_output, kernel_size, relu=None, training=None, **fields):
        """Add a convolution, and an in-place ReLU named `relu` if given; returns the last Top."""
        fields = {key: value for key, value in fields.items() if value is not None}
        self[name] = L.Convolution(
            bottom, num_output=num_output, kernel_size=kernel_size, **fields, **self.training(**training or {})
        )
        return self.relu(relu, self[name]) if relu else self[name]

    def inner(self, name, bottom, num_output, relu=None, training=None):
        """Add an InnerProduct, and an in-place ReLU named `relu` if given; returns the last Top."""
        self[name] = L.InnerProduct(bottom, num_output=num_output, **self.training(**training or {}))
        return self.relu(relu, self[name]) if relu else self[name]

    def relu(self, name, bottom):
        """Add an in-place ReLU."""
        self[name] = L.ReLU(bottom, in_place=True)
        return self[name]

    def drop(self, name, bottom, ratio):
        """Add in-place dropout in a training net."""
        if not self.train:
            return bottom
        self[name] = L.Dropout(bottom, dropout_ratio=ratio, in_place=True)
        return self[name]

    def pool(self, name, bottom, kernel_size, stride, method="MAX", pad=None):
        """Add a Pooling."""
        fields = {} if pad is None else dict(pad=pad)
        pool = getattr(P.Pooling, method)
        self[name] = L.Pooling(bottom, pool=pool, kernel_size=kernel_size, stride=stride, **fields)
        return self[name]

    def join(self, name, *bottoms):
        """Add a Concat along the channels."""
        self[name] = L.Concat(*bottoms)
        return self[name]

    def end(self, scores, loss="loss", weight=None, top1="accuracy", top5="accuracy_top5"):
        """Add softmax loss and accuracies, or `prob` in a deploy net, which has no auxiliary heads."""
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
        """The NetParameter `name`; a training net gets a TRAIN data layer of `batch` images before the TEST one."""
        net = caffe_pb2.NetParameter(name=name)
        if self.train:
            train = caffe.NetSpec()
            train.data, train.label = data_layer(caffe.TRAIN, side, batch)
            net.layer.extend(train.to_proto().layer)
        net.layer.extend(self.to_proto().layer)
        return net


def data_layer(phase, side, batch):
    """The Data layer of a phase: images of 256 x 256 pixels cropped to `side`."""
    train = phase == caffe.TRAIN
    transform = dict(mirror=True, crop_size=side) if train else dict(crop_size=side)
    return L.Data(
        ntop=2,
        include=dict(phase=phase),
        transform_param=dict(transform, mean_value=MEAN),
        source=f"data/ilsvrc12/{'train' if train else 'val'}_lmdb",
        batch_size=batch,
        backend=P.Data.LMDB,
    )


def rates(bias=True, lr=1):
    """`param` of a layer: biases have twice the learning rate and no weight decay."""
    weights = dict(lr_mult=lr, decay_mult=1)
    return [weights, dict(lr_mult=2 * lr, decay_mult=0)] if bias else [weights]


def constant(value):
    """A constant filler."""
    return dict(type="constant", value=value)


def gaussian(std):
    """A Gaussian filler of mean 0."""
    return dict(type="gaussian", std=std)


def solver(name, **fields):
    """The SolverParameter of prototxt/<name>: momentum 0.9, tests on the 50,000 validation images."""
    defaults = dict(momentum=0.9, test_iter=[1000], display=20, snapshot=10000, average_loss=40)
    defaults.update(net=f"prototxt/{name}/train_val.prototxt", snapshot_prefix=f"models/{name}/{name}")
    param = caffe_pb2.SolverParameter(**{**defaults, **fields})
    param.solver_mode = caffe_pb2.SolverParameter.CPU
    return param
