"""Write the initial weights of a training and the matrices of its targets into the run's directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from agegender.training import distillation, prototxt
from agegender.zoo import download
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import write_blob, write_caffemodel

if TYPE_CHECKING:
    import numpy as np

    from agegender.recipes.recipe import Recipe


def write(
    folder: str,
    recipe: Recipe,
    teacher_weights: str = "",
    say: Callable[[str], object] = print,
    teacher_table: dict[str, np.ndarray] | None = None,
) -> None:
    """Write <task>_targets.binaryproto and, if the recipe initializes any layer, start.caffemodel.

    Parameters
    ----------
    folder : str
    recipe : Recipe
    teacher_weights : str
        The caffemodel of the recipe's teacher.
    say : callable
        Receives a line of text before features are downloaded.
    teacher_table : dict of str to ndarray, optional
        The probabilities (faces, classes) of a stacked teacher, by task.
    """
    nets = recipe.nets()
    for net in nets:
        matrix = recipe.targets[net.task].matrix(len(net.labels))
        if matrix is not None:
            write_blob(os.path.join(folder, prototxt.targets_file(net.task)), matrix)
    if not prototxt.has_start(recipe):
        return
    table = teacher_table or {}
    param, weights = prototxt.train_test(recipe, len(next(iter(table.values()), [0]))), {}
    if recipe.features:
        assert nets[0].features is not None, f"{nets[0].name} has no features to start from"
        weights.update(nets[0].features(download.fetch(nets[0], say=say), nets[0]))
    if recipe.teacher:
        weights.update(distillation.weights(recipe, teacher_weights))
    weights.update({distillation.PREFIX + task: [rows] for task, rows in table.items()})
    if any(map(prototxt.predicts_years, nets)):
        weights[prototxt.DECADES] = [prototxt.decade_sums()]
    start = caffe_pb2.NetParameter(name=recipe.name)
    start.layer.extend(layer for layer in param.layer if layer.name in weights)
    arrays = {layer.name: weights[layer.name] for layer in start.layer}
    write_caffemodel(os.path.join(folder, prototxt.START), start, arrays)
