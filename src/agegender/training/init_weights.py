"""What a training starts from, written into the run's folder: the weights that are given, and the targets' matrices."""

from __future__ import annotations

import os

from agegender.training import distillation, prototxt
from agegender.zoo import download
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import write_blob, write_caffemodel


def write(folder, recipe, teacher_weights="", say=print):
    """Write <task>_targets.binaryproto, and start.caffemodel where there is anything to start from: fetched, after saying so.

    `teacher_weights` is the caffemodel of the recipe's teacher.
    """
    nets = recipe.nets()
    for net in nets:
        matrix = recipe.targets[net.task].matrix(len(net.labels))
        if matrix is not None:
            write_blob(os.path.join(folder, prototxt.targets_file(net.task)), matrix)
    if not prototxt.has_start(recipe):
        return
    param, weights = prototxt.train_test(recipe), {}
    if recipe.features:
        weights.update(nets[0].features(download.fetch(nets[0], say=say), nets[0]))
    if recipe.teacher:
        weights.update(distillation.weights(recipe, teacher_weights))
    if any(map(prototxt.in_years, nets)):
        weights[prototxt.DECADES] = [prototxt.decade_sums()]
    kept = caffe_pb2.NetParameter(name=recipe.name)
    kept.layer.extend(layer for layer in param.layer if layer.name in weights)
    write_caffemodel(
        os.path.join(folder, prototxt.START), kept, {layer.name: weights[layer.name] for layer in kept.layer}
    )
