"""Change the shape of a net's inputs; what depends on the batch size follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from caffe.convert.data_shapes import DEFAULT_SIDE, warn_of_default_size
from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2


def resize_inputs(
    net: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None
) -> caffe_pb2.NetParameter:
    """Give the image input the shape `input_shape`, and a placeholder of 1 x 1 pixels a size of 224 x 224.

    The image input is the first Input with four axes. When its batch size changes, other Inputs of the same batch size
    change as well, and the first dimension of Reshape layers that is a multiple of it.
    """
    image = next((shape for shape in _shapes(net) if len(shape.dim) == 4), None)
    if image is None:
        return _with_batch(net, input_shape[0], _first_batch(net)) if input_shape and input_shape[0] else net
    old = list(image.dim)
    new = [requested or size for requested, size in zip(input_shape or old, old)]
    if _is_placeholder(net, new):
        warn_of_default_size(f"net '{net.name}': its input of {' x '.join(map(str, new))} is a placeholder")
        new[2:] = DEFAULT_SIDE, DEFAULT_SIDE
    if new == old:
        return net
    net = _with_batch(net, new[0], old[0]) if new[0] != old[0] else _copy(net)
    for shape in _shapes(net):
        if list(shape.dim[1:]) == old[1:]:
            shape.dim[1:] = new[1:]
    return net


_POOLS_REGIONS = ("ROIPooling", "PSROIPooling", "ROIAlign")


def complete_regions(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Give Inputs of regions with 4 numbers the 5 that pooling reads: their program reshapes them before it runs."""
    regions = {layer.bottom[1] for layer in net.layer if layer.type in _POOLS_REGIONS and len(layer.bottom) > 1}
    found = [layer for layer in net.layer if layer.type == "Input" and regions.intersection(layer.top)]
    if not any(list(shape.dim[1:]) == [4] for layer in found for shape in layer.input_param.shape):
        return net
    net = _copy(net)
    for layer in net.layer:
        for top, shape in zip(layer.top, layer.input_param.shape if layer.type == "Input" else ()):
            if top in regions and list(shape.dim[1:]) == [4]:
                shape.dim[1] = 5
                glog.warning(f"input '{top}': regions are rows of 5 numbers (item, x1, y1, x2, y2), not 4; 5 are used")
    return net


def _copy(net):
    copy = caffe_pb2.NetParameter()
    copy.CopyFrom(net)
    return copy


def _shapes(net: caffe_pb2.NetParameter) -> Iterator[Any]:
    """Yield the shapes of all Input layers."""
    for layer in net.layer:
        if layer.type == "Input":
            yield from layer.input_param.shape


def _is_placeholder(net, shape):
    """Return whether an input is one pixel that a convolution or pooling reads."""
    inputs = {top for layer in net.layer if layer.type == "Input" for top in layer.top}
    consumers = [layer for layer in net.layer if set(layer.bottom) & inputs]
    has_windows = any(layer.type in ("Convolution", "Pooling") for layer in consumers)
    return shape[1] in (1, 3) and tuple(shape[2:]) == (1, 1) and has_windows


def _first_batch(net):
    return next((shape.dim[0] for shape in _shapes(net) if len(shape.dim)), 1)


def _with_batch(net, new, old):
    """Return the net with the batch size `new`, or unchanged if only its own batch size `old` is possible."""
    if new == old or not old:
        return net
    rows = _rows_of_reshapes(net)
    changed = _with_rows(net, new, old, rows or {})
    if rows is None or not _depends_on_batch(net) or can_be_built(changed):
        return changed
    glog.warning(f"net '{net.name}' keeps its batch size of {old}: its layers do not allow {new}")
    return net


def can_be_built(net: caffe_pb2.NetParameter) -> bool:
    """Return whether the shapes of all blobs of `net` can be inferred in phase TEST."""
    return _rows_of_reshapes(net) is not None


def _depends_on_batch(net):
    """Return whether a layer can divide or combine the items of a batch."""
    return any(layer.type in ("Slice", "Reshape", "Concat", "Crop", "Eltwise") for layer in net.layer)


def _with_rows(net, new, old, rows):
    net = _copy(net)
    for shape in _shapes(net):
        if len(shape.dim) and shape.dim[0] == old:
            shape.dim[0] = new
    for layer in net.layer:
        dims = layer.reshape_param.shape.dim
        fixed = layer.type == "Reshape" and layer.reshape_param.axis == 0 and len(dims) and dims[0] > 0
        if fixed and dims[0] % old == 0 and rows.get(layer.name, old) % old == 0:
            dims[0] = dims[0] // old * new
    return net


def _rows_of_reshapes(net):
    """Return layer name -> first dimension of a Reshape's bottom; None if the net cannot be created."""
    from caffe.net.net import Net

    try:
        build_only = Net.from_param(net, caffe_pb2.TEST, build_only=True)
    except CaffeError:
        return None
    shapes = {name: blob.shape for name, blob in build_only.blobs.items()}
    reshapes = [layer for layer in build_only.param.layer if layer.type == "Reshape" and shapes[layer.bottom[0]]]
    return {layer.name: shapes[layer.bottom[0]][0] for layer in reshapes}
