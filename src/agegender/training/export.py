"""Turn the last snapshot of a training into a caffemodel for the zoo's deploy nets, batch normalization folded."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agegender.zoo import assemble
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import read_weights, write_caffemodel

if TYPE_CHECKING:
    from agegender.recipes.recipe import Recipe


def write(recipe: Recipe, snapshot: str, target: str) -> None:
    """Write the caffemodel `target` for all tasks of the recipe's net from a training snapshot."""
    nets = recipe.nets()
    param = assemble.unfolded_param(nets, [net.task for net in nets])
    stored = read_weights(snapshot)
    weights = {layer.name: stored[layer.name] for layer in param.layer if layer.name in stored}
    assemble.match(Net.from_param(param, caffe_pb2.TEST), nets[0], weights)
    if nets[0].folded:
        from caffe.convert.fold_batch_norm import fold_norm

        param, weights = fold_norm(param, weights)
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    out.name = recipe.net
    write_caffemodel(target, out, {name: list(arrays) for name, arrays in weights.items()})


def snapshots(prefix: str) -> list[int]:
    """Return the iterations of the caffemodels that a solver wrote under `prefix`, in order."""
    found = (re.search(r"_iter_(\d+)\.caffemodel$", path) for path in glob.glob(glob.escape(prefix) + "_iter_*"))
    return sorted(int(match[1]) for match in found if match)


def average(paths: Sequence[str], target: str) -> str:
    """Write the mean of snapshots of one training (Izmailov et al. 2018) and return its path, `target`."""
    stored = [read_weights(path) for path in paths]
    mean = {
        name: [_mean([weights[name][index] for weights in stored]) for index in range(len(arrays))]
        for name, arrays in stored[0].items()
    }
    param = caffe_pb2.NetParameter()
    for name in mean:
        param.layer.add(name=name, type="Convolution")
    write_caffemodel(target, param, mean)
    return target


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(sum(array.astype(np.float64) for array in arrays) / len(arrays), np.float32)
