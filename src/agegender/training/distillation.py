"""A teacher: a trained net that looks at the training pictures, too, and whose answers are learned beside the labels.

All of it is Caffe's own layers: the teacher stands in the TRAIN net with rates of 0, and the cross entropy between its
answers and the learner's is a Reduction with a loss_weight (Hinton, Vinyals and Dean 2015, at temperature 1).
"""

from __future__ import annotations

import numpy as np

from agegender import recipes
from agegender.errors import AgeGenderError
from agegender.zoo import assemble
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import read_weights

PREFIX = "teacher/"
LEAST = 1e-6  # added to a probability before its logarithm


def add(net, recipe):
    """Append to the NetParameter the recipe's teacher and, for each answer, the loss of not agreeing with it."""
    _check(recipe)
    for layer in layers(recipe):
        net.layer.add().CopyFrom(layer)
    for answer in recipe.nets():
        _distillation_loss(net, answer, recipe)


def weights(recipe, path):
    """{layer: [arrays]} of the teacher's layers from its finished caffemodel."""
    stored = read_weights(path)
    names = [layer.name for layer in layers(recipe)]
    return {name: stored[name[len(PREFIX) :]] for name in names if name[len(PREFIX) :] in stored}


def layers(recipe):
    """The teacher's layers, renamed, in TRAIN only, with rates of 0; a Power brings the learner's pixels to its scale."""
    told = recipes.resolve(recipe.teacher).nets()
    param = assemble.answers_param(told, [net.task for net in told])
    fit = caffe_pb2.LayerParameter(name=PREFIX + "data", type="Power", bottom=["data"], top=[PREFIX + "data"])
    fit.power_param.scale = told[0].transform().scale / recipe.nets()[0].transform().scale
    return [_in_train(fit), *(_renamed(layer) for layer in param.layer if layer.type != "Input")]


def _renamed(layer):
    out = caffe_pb2.LayerParameter()
    out.CopyFrom(layer)
    out.name = PREFIX + layer.name
    for names in (out.bottom, out.top):
        names[:] = [PREFIX + name for name in names]
    parameters = {
        "Convolution": out.convolution_param,
        "InnerProduct": out.inner_product_param,
        "Scale": out.scale_param,
    }
    del out.param[:]
    if layer.type in parameters:
        for _ in range(1 + parameters[layer.type].bias_term):
            out.param.add(lr_mult=0, decay_mult=0)
    return _in_train(out)


def _in_train(layer):
    layer.include.add().phase = caffe_pb2.TRAIN
    return layer


def _distillation_loss(net, answer, recipe):
    """-taught * weight / N * sum of p_teacher * log(p_learner)."""
    task = answer.task
    told, log, products = task + "_told", task + "_log", task + "_agreed"
    steps = [
        caffe_pb2.LayerParameter(name=told, type="Softmax", bottom=[answer.logits], top=[told]),
        caffe_pb2.LayerParameter(name=log, type="Log", bottom=[told], top=[log]),
        caffe_pb2.LayerParameter(name=products, type="Eltwise", bottom=[log, PREFIX + task], top=[products]),
        caffe_pb2.LayerParameter(
            name=task + "_taught_loss", type="Reduction", bottom=[products], top=[task + "_taught_loss"]
        ),
    ]
    steps[1].log_param.shift = LEAST
    steps[2].eltwise_param.operation = caffe_pb2.EltwiseParameter.PROD
    steps[2].propagate_down.extend([True, False])
    steps[3].loss_weight.append(-recipe.distillation_weight * recipe.targets[task].weight / recipe.batch)
    for layer in steps:
        net.layer.add().CopyFrom(_in_train(layer))


def _check(recipe):
    """Refuse a teacher that cannot look at the learner's pictures."""
    teacher = recipes.resolve(recipe.teacher)
    own, other = recipe.nets()[0], teacher.nets()[0]
    same = own.shape == other.shape and np.array_equal(own.transform().mean, other.transform().mean)
    missing = set(recipe.targets) - set(teacher.targets)
    if not same or missing or own.transform().order != other.transform().order:
        raise AgeGenderError(
            f"recipe '{recipe.name}' cannot be taught by '{teacher.name}': both need the same input, mean and channel order, and the same answers"
        )
