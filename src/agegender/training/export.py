"""Turn the last snapshot of a training into a caffemodel for the zoo's deploy nets, batch normalization folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
