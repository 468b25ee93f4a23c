"""The prototxt files of a run: the net with its LMDBs, and the solver.

All paths are relative to the run's directory, so `caffe train -solver solver.prototxt` works there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.datasets.split_lmdbs import LABELS, TEST, TRAIN
from agegender.inference.labels import AGE_TRINGN
from agegender.training import distillation
from agegender.zoo import assemble
from caffe.proto import caffe_pb2, text

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from agegender import zoo
    from agegender.recipes.recipe import Recipe, Target

START, PREFIX = "start.caffemodel", "snapshots/net"
TEST_BATCH = 50
DECADES = "age_decades"  # TEST layer that sums the probabilities of a decade's years


def targets_file(task: str) -> str:
    """Return the file name of a task's target matrix."""
    return f"{task}_targets.binaryproto"


def train_test(recipe: Recipe, faces: int = 1) -> caffe_pb2.NetParameter:
    """Return the NetParameter for training and testing; `faces` is the number of training faces."""
    nets = recipe.nets()
    net = assemble.train_param(nets[0], data_layers(recipe, nets[0]))
    net.name = recipe.name
    del net.layer[-len(nets[0].losses) :]  # plain losses; those of the recipe's targets follow
    if recipe.body != 1:
        scale_lr_mult(net, recipe.body, {head.logits for head in nets})
    fraction = 1 - recipe.distillation_weight if recipe.teacher or recipe.teachers else 1
    for head in nets:
        add_loss_and_metrics(net, head, recipe.targets[head.task], fraction)
    if recipe.teacher:
        distillation.add(net, recipe)
    if recipe.teachers:
        distillation.add_table(net, recipe, faces)
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        silence(net, phase)
    return net


def scale_lr_mult(net: caffe_pb2.NetParameter, factor: float, heads: set[str]) -> None:
    """Multiply the learning rates of all layers by `factor`, except those of `heads`."""
    for layer in net.layer:
        if layer.name not in heads:
            for spec in layer.param:  # every layer with weights has one: the zoo writes them
                spec.lr_mult *= factor


def silence(net: caffe_pb2.NetParameter, phase: int) -> None:
    """Append a Silence for labels that are unused in `phase`; otherwise they would be net outputs and be logged."""
    layers = [layer for layer in net.layer if not layer.include or layer.include[0].phase == phase]
    used = {blob for layer in layers for blob in layer.bottom}
    unused = [label for label in LABELS if label not in used]
    if unused:
        layer = net.layer.add(name="unused", type="Silence", bottom=unused)
        layer.include.add().phase = phase


def data_layers(recipe: Recipe, net: zoo.Net) -> list[caffe_pb2.LayerParameter]:
    """Return the TRAIN and the TEST data layer, with all labels."""
    transform = net.transform()
    layers = []
    for phase, source, batch in ((caffe_pb2.TRAIN, TRAIN, recipe.batch), (caffe_pb2.TEST, TEST, TEST_BATCH)):
        layer = caffe_pb2.LayerParameter(name="data", type="Data", top=["data", *LABELS])
        layer.include.add().phase = phase
        p, t = layer.data_param, layer.transform_param
        p.source, p.backend, p.batch_size = source, p.LMDB, batch
        t.crop_size = transform.crop or 0
        t.scale = transform.scale
        if transform.mean is not None:
            t.mean_value.extend(transform.mean.tolist())
        if phase == caffe_pb2.TRAIN:
            t.mirror = True
            p.shuffle = True
            if recipe.balance:
                p.balance = recipe.balance
                p.balance_label = LABELS.index("cell")
            if recipe.augment:
                t.augment.CopyFrom(caffe_pb2.AugmentParameter(**recipe.augment))
        layers.append(layer)
    return layers


def add_loss_and_metrics(net: caffe_pb2.NetParameter, head: zoo.Net, target: Target, fraction: float) -> None:
    """Append the loss of one task, with this fraction of its weight, and its metrics in TEST."""
    years = predicts_years(head)
    label = "age" if years else "age_class" if head.task == "age" else "gender"
    loss = net.layer.add(name=head.task + "_loss", bottom=[head.logits, label], top=[head.task + "_loss"])
    loss.type = "SoftmaxWithLoss" if target.matrix(2) is None else "InfogainLoss"
    if loss.type == "InfogainLoss":
        loss.infogain_loss_param.source = targets_file(head.task)
    if fraction * target.weight != 1:
        loss.loss_weight.append(fraction * target.weight)
    if not years:
        name = head.task + "_accuracy"
        _in_test(net, name=name, type="Accuracy", bottom=[head.logits, label], top=[name])
        return
    _in_test(net, name="age_years", type="Softmax", bottom=[head.logits], top=["age_years"])
    sums = _in_test(net, name=DECADES, type="InnerProduct", bottom=["age_years"], top=[DECADES])
    sums.inner_product_param.num_output = len(AGE_TRINGN)
    sums.inner_product_param.bias_term = False
    sums.param.add(lr_mult=0, decay_mult=0)
    _in_test(net, name="age_accuracy", type="Accuracy", bottom=[DECADES, "age_class"], top=["age_accuracy"])


def predicts_years(head: zoo.Net) -> bool:
    """Return whether the net's classes are years of age rather than AGE_TRINGN's age groups."""
    return head.task == "age" and len(head.labels) > len(AGE_TRINGN)


def has_start(recipe: Recipe) -> bool:
    """Return whether start.caffemodel holds anything: features, a teacher, or the matrix of `decade_sums`."""
    return recipe.features or bool(recipe.teacher or recipe.teachers) or any(map(predicts_years, recipe.nets()))


def _in_test(net: caffe_pb2.NetParameter, **fields: Any) -> caffe_pb2.LayerParameter:
    layer = net.layer.add(**fields)
    layer.include.add().phase = caffe_pb2.TEST
    return layer


def decade_sums() -> np.ndarray:
    """Return the float32 matrix (9, 101) that sums the years of each age group."""
    ages = np.arange(101)
    return np.array([(ages >= low) & (ages <= high) for low, high in AGE_TRINGN.bounds], np.float32)


def solver(recipe: Recipe, iterations: int, seed: int, test_faces: int) -> caffe_pb2.SolverParameter:
    """Return the SolverParameter of a run."""
    param = caffe_pb2.SolverParameter(net="train_test.prototxt", max_iter=iterations, random_seed=seed, **recipe.solver)
    param.rampup_interval = round(recipe.rampup * iterations)
    param.stepvalue.extend(round(step * iterations) for step in recipe.steps)
    param.test_iter.append(-(-test_faces // TEST_BATCH))
    param.test_interval = max(1, iterations // 8)
    param.test_initialization = False
    param.display = max(1, min(100, iterations // 40))
    param.average_loss = param.display
    param.snapshot = max(1, iterations // (40 if recipe.average else 8))
    param.snapshot_prefix = PREFIX
    param.solver_mode = param.CPU
    if has_start(recipe):
        param.weights.append(START)
    return param


def write(message: Message, comment: str) -> str:
    """Return the prototxt text of a message below a comment."""
    return f"# {comment}\n{text.format(message)}"
