"""The graph of a net: its layers in order, the blobs that connect them and its learnable weights."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any

from caffe.core.blob import Blob
from caffe.layers import base


@dataclasses.dataclass
class Node:
    """One layer of a net with its blobs and its backward settings."""

    layer: base.Layer
    bottoms: list  # blob names
    tops: list
    bottom_blobs: list  # the blobs themselves
    top_blobs: list
    losses: list = dataclasses.field(default_factory=list)  # one loss weight per top
    shapes: list = dataclasses.field(default_factory=list)  # bottom shapes that the current top shapes belong to
    need_backward: bool = False
    bottom_need_backward: list = dataclasses.field(default_factory=list)
    fast: object = None  # the optimized runner that a pass installed (see caffe.passes)
    reach: tuple = ()  # first and last index of the nodes that must run together with `fast`


@dataclasses.dataclass
class Weight:
    """One learnable weight blob, the layer that owns it, and its learning-rate and decay multipliers."""

    blob: Blob
    layer: str
    index: int
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    explicit: tuple[bool, ...] = (False, False)  # whether lr_mult and decay_mult were given in the prototxt


@dataclasses.dataclass
class Graph:
    """The layers, blobs and weights of a net, as `builder.build` creates them.

    Parameters
    ----------
    param : NetParameter
        The net for its phase, with Split layers.
    where : list of str
        The source location of each layer.
    nodes : list of Node
        The layers in the order in which they run.
    blobs : OrderedDict of str to Blob
        All tops by name.
    weights : list of Weight
        The learnable weights; shared weights appear once.
    input_names, output_names : list of str
        Tops of Input layers; blobs that no layer reads, in alphabetical order.
    """

    param: Any
    where: list[str]
    nodes: list[Node] = dataclasses.field(default_factory=list)
    blobs: OrderedDict[str, Any] = dataclasses.field(default_factory=OrderedDict)
    weights: list[Weight] = dataclasses.field(default_factory=list)
    input_names: list[str] = dataclasses.field(default_factory=list)
    output_names: list[str] = dataclasses.field(default_factory=list)
