"""Knowledge distillation: a trained teacher net predicts the training images too, and its outputs join the targets.

It uses Caffe's own layers: the teacher's layers are in the TRAIN net with learning rates of 0, and the cross entropy
between teacher and student is a Reduction with a loss_weight (Hinton, Vinyals and Dean 2015, at temperature 1). A
stacked teacher's predictions are computed once, and an Embed with a learning rate of 0 looks them up by the face's
number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agegender import recipes
from agegender.errors import AgeGenderError
from agegender.zoo import assemble
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import read_weights

if TYPE_CHECKING:
    from agegender import zoo
    from agegender.recipes.recipe import Recipe

PREFIX = "teacher/"
EPSILON = 1e-6  # added to a probability before its logarithm


def add(net: caffe_pb2.NetParameter, recipe: Recipe) -> None:
    """Append the recipe's teacher to `net` and one distillation loss per task."""
    _check(recipe)
    for layer in layers(recipe):
        net.layer.add().CopyFrom(layer)
    for student in recipe.nets():
        _add_distillation_loss(net, student, recipe)


def add_table(net: caffe_pb2.NetParameter, recipe: Recipe, faces: int) -> None:
    """Append the stored predictions for `faces` training faces to `net`, and one distillation loss per task."""
    for student in recipe.nets():
        name = PREFIX + student.task
        table = caffe_pb2.LayerParameter(name=name, type="Embed", bottom=["face"], top=[name])
        table.embed_param.input_dim, table.embed_param.num_output = faces, len(student.labels)
        table.embed_param.bias_term = False
        table.param.add(lr_mult=0, decay_mult=0)
        net.layer.add().CopyFrom(_in_train(table))
        _add_distillation_loss(net, student, recipe)


def weights(recipe: Recipe, path: str) -> dict[str, list[np.ndarray]]:
    """Return {layer: [arrays]} of the teacher's layers from its caffemodel."""
    stored = read_weights(path)
    names = [layer.name for layer in layers(recipe)]
    return {name: stored[name[len(PREFIX) :]] for name in names if name[len(PREFIX) :] in stored}


def layers(recipe: Recipe) -> list[caffe_pb2.LayerParameter]:
    """Return the teacher's layers: renamed, in TRAIN only, with learning rates of 0.

    The first one, a Power, scales the student's input to the teacher's.
    """
    nets = recipes.resolve(recipe.teacher).nets()
    param = assemble.answers_param(nets, [net.task for net in nets])
    rescale = caffe_pb2.LayerParameter(name=PREFIX + "data", type="Power", bottom=["data"], top=[PREFIX + "data"])
    rescale.power_param.scale = nets[0].transform().scale / recipe.nets()[0].transform().scale
    return [_in_train(rescale), *(_frozen_copy(layer) for layer in param.layer if layer.type != "Input")]


def _frozen_copy(layer: caffe_pb2.LayerParameter) -> caffe_pb2.LayerParameter:
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


def _in_train(layer: caffe_pb2.LayerParameter) -> caffe_pb2.LayerParameter:
    layer.include.add().phase = caffe_pb2.TRAIN
    return layer


def _add_distillation_loss(net: caffe_pb2.NetParameter, student: zoo.Net, recipe: Recipe) -> None:
    """Append -distillation_weight * weight / N * sum of p_teacher * log(p_student)."""
    task = student.task
    prob, log, products, loss = task + "_prob", task + "_log", task + "_products", task + "_distillation_loss"
    steps = [
        caffe_pb2.LayerParameter(name=prob, type="Softmax", bottom=[student.logits], top=[prob]),
        caffe_pb2.LayerParameter(name=log, type="Log", bottom=[prob], top=[log]),
        caffe_pb2.LayerParameter(name=products, type="Eltwise", bottom=[log, PREFIX + task], top=[products]),
        caffe_pb2.LayerParameter(name=loss, type="Reduction", bottom=[products], top=[loss]),
    ]
    steps[1].log_param.shift = EPSILON
    steps[2].eltwise_param.operation = caffe_pb2.EltwiseParameter.PROD
    steps[2].propagate_down.extend([True, False])
    steps[3].loss_weight.append(-recipe.distillation_weight * recipe.targets[task].weight / recipe.batch)
    for layer in steps:
        net.layer.add().CopyFrom(_in_train(layer))


def _check(recipe: Recipe) -> None:
    """Raise AgeGenderError if the teacher cannot process the student's input or misses a task."""
    teacher = recipes.resolve(recipe.teacher)
    student_net, teacher_net = recipe.nets()[0], teacher.nets()[0]
    student_input, teacher_input = student_net.transform(), teacher_net.transform()
    same_input = (
        student_net.shape == teacher_net.shape
        and np.array_equal(student_input.mean, teacher_input.mean)
        and student_input.order == teacher_input.order
    )
    if not same_input or set(recipe.targets) - set(teacher.targets):
        raise AgeGenderError(
            f"recipe '{recipe.name}' cannot be distilled from '{teacher.name}': both need the same input, mean and "
            "channel order, and the same tasks"
        )
