"""The prototxt files of a run, as any Caffe user reads them: the net with its databases, and the solver.

All paths are relative to the run's folder, so that `caffe train -solver solver.prototxt` works there, too.
"""

from __future__ import annotations

from agegender.datasets.split_lmdbs import LABELS, TEST, TRAIN
from agegender.inference.labels import AGE_TRINGN
from agegender.training import distillation
from agegender.zoo import assemble
from caffe.proto import caffe_pb2, text

START, PREFIX = "start.caffemodel", "snapshots/net"
TEST_BATCH = 50
DECADES = "age_decades"  # the layer that sums the probabilities of a decade's years while training is watched


def targets_file(task):
    """Where the matrix of a task's targets lies in the run's folder."""
    return f"{task}_targets.binaryproto"


def train_test(recipe):
    """The NetParameter that is trained and tested."""
    nets = recipe.nets()
    net = assemble.train_param(nets[0], data_layers(recipe, nets[0]))
    net.name = recipe.name
    del net.layer[-len(nets[0].losses) :]  # plain losses; the targets' own take their places
    if recipe.body != 1:
        scale_lr_mult(net, recipe.body, {answer.logits for answer in nets})
    for answer in nets:
        add_loss_and_metrics(
            net, answer, recipe.targets[answer.task], 1 - recipe.distillation_weight if recipe.teacher else 1
        )
    if recipe.teacher:
        distillation.add(net, recipe)
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        silence(net, phase)
    return net


def scale_lr_mult(net, factor, heads):
    """Multiply the rates of all learned layers by `factor`, except those of `heads`."""
    for layer in net.layer:
        if layer.name not in heads:
            for rate in layer.param:  # the zoo's bodies write all of theirs
                rate.lr_mult *= factor


def silence(net, phase):
    """Append a Silence for labels that nobody reads in `phase`: else the log shows each of them."""
    read = {
        blob for layer in net.layer if not layer.include or layer.include[0].phase == phase for blob in layer.bottom
    }
    idle = [label for label in LABELS if label not in read]
    if idle:
        layer = net.layer.add(name="unused", type="Silence", bottom=idle)
        layer.include.add().phase = phase


def data_layers(recipe, net):
    """The TRAIN and the TEST data layer, with all labels."""
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
            if recipe.augment:
                t.augment.CopyFrom(caffe_pb2.AugmentParameter(**recipe.augment))
        layers.append(layer)
    return layers


def add_loss_and_metrics(net, answer, target, share):
    """Append what learns one answer with `share` of its weight, and what watches it in TEST."""
    years = in_years(answer)
    label = "age" if years else "age_class" if answer.task == "age" else "gender"
    loss = net.layer.add(name=answer.task + "_loss", bottom=[answer.logits, label], top=[answer.task + "_loss"])
    loss.type = "SoftmaxWithLoss" if target.matrix(2) is None else "InfogainLoss"
    if loss.type == "InfogainLoss":
        loss.infogain_loss_param.source = targets_file(answer.task)
    if share * target.weight != 1:
        loss.loss_weight.append(share * target.weight)
    if not years:
        name = answer.task + "_accuracy"
        _in_test(net, name=name, type="Accuracy", bottom=[answer.logits, label], top=[name])
        return
    _in_test(net, name="age_years", type="Softmax", bottom=[answer.logits], top=["age_years"])
    sums = _in_test(net, name=DECADES, type="InnerProduct", bottom=["age_years"], top=[DECADES])
    sums.inner_product_param.num_output = len(AGE_TRINGN)
    sums.inner_product_param.bias_term = False
    sums.param.add(lr_mult=0, decay_mult=0)
    _in_test(net, name="age_accuracy", type="Accuracy", bottom=[DECADES, "age_class"], top=["age_accuracy"])


def in_years(answer):
    """Whether a net's answer is a year, not one of AGE_TRINGN's classes."""
    return answer.task == "age" and len(answer.labels) > len(AGE_TRINGN)


def has_start(recipe):
    """Whether start.caffemodel holds anything: features, a teacher, or the sums of the years of a decade."""
    return recipe.features or bool(recipe.teacher) or any(map(in_years, recipe.nets()))


def _in_test(net, **fields):
    layer = net.layer.add(**fields)
    layer.include.add().phase = caffe_pb2.TEST
    return layer


def decade_sums():
    """(9, 101): ones where a year belongs to a class."""
    import numpy as np

    ages = np.arange(101)
    return np.array([(ages >= low) & (ages <= high) for low, high in AGE_TRINGN.bounds], np.float32)


def solver(recipe, iterations, seed, test_faces):
    """The SolverParameter of a run of so many iterations."""
    param = caffe_pb2.SolverParameter(net="train_test.prototxt", max_iter=iterations, random_seed=seed, **recipe.solver)
    param.rampup_interval = round(recipe.rampup * iterations)
    param.stepvalue.extend(round(share * iterations) for share in recipe.steps)
    param.test_iter.append(-(-test_faces // TEST_BATCH))
    param.test_interval = max(1, iterations // 8)
    param.test_initialization = False
    param.display = max(1, min(100, iterations // 40))
    param.average_loss = param.display
    param.snapshot = max(1, iterations // 8)
    param.snapshot_prefix = PREFIX
    param.solver_mode = param.CPU
    if has_start(recipe):
        param.weights.append(START)
    return param


def write(message, about):
    """Prototxt of a message under a comment."""
    return f"# {about}\n{text.format(message)}"
