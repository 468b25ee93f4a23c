"""Extract a part of a net from a start layer to an end layer (mvNCCompile's -in and -on)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import CaffeError, did_you_mean
from caffe.proto import caffe_pb2


def cut(param: caffe_pb2.NetParameter, start: str | None = None, end: str | None = None) -> caffe_pb2.NetParameter:
    """Extract the layers of a deploy net from `start` to `end`, inclusive.

    The bottoms of `start` become Inputs of the same name and shape. Layers that do not lead to `end` are removed.

    Parameters
    ----------
    param : NetParameter
        Deploy net in V2 format.
    start, end : str, optional
        Layer names; by default the first and last layer. Where no layer has the name, it is that of a blob: the first
        layer that writes it for `start`, the last one for `end`.

    Returns
    -------
    NetParameter

    Raises
    ------
    CaffeError
        If a layer does not exist, or a later layer needs a blob produced before `start`.
    """
    start, end = _layer_of(param, start, 0), _layer_of(param, end, -1)
    if start is not None and end is not None and _index(param, end) < _index(param, start):
        raise CaffeError(f"the last layer, '{end}', comes before the first, '{start}'")
    if start is not None:
        param = _from(param, start)
    return param if end is None else _until(param, end)


def _layer_of(param, name, which):
    """Return `name`, or the layer that writes the blob `name`; `which` is 0 for the first one, -1 for the last."""
    writers = [layer.name for layer in param.layer if name in layer.top]
    return writers[which] if writers and name not in [layer.name for layer in param.layer] else name


def _index(param, name):
    names = [layer.name for layer in param.layer]
    if name not in names:
        hint = did_you_mean(name, names)
        raise CaffeError(f"net '{param.name}' has no layer '{name}'{hint}; its layers are {', '.join(names)}")
    return names.index(name)


def _from(param, start):
    index = _index(param, start)
    first = param.layer[index]
    if first.type == "Input":
        return param
    out = caffe_pb2.NetParameter(name=param.name)
    shapes = _shapes(param, index)
    for bottom in first.bottom:
        layer = out.layer.add(name=bottom + "_input", type="Input", top=[bottom])
        layer.input_param.shape.add().dim.extend(shapes[bottom])
    available = set(first.bottom)
    for layer in param.layer[index:]:
        missing = [bottom for bottom in layer.bottom if bottom not in available]
        if missing and layer.type != "Input":
            raise CaffeError(
                f"layer '{layer.name}' needs blob '{missing[0]}', which is produced before '{start}': start at a layer "
                "that every path goes through"
            )
        available.update(layer.top)
        out.layer.add().CopyFrom(layer)
    return out


def _shapes(param, index):
    """Return blob name -> shape of the layers before `index`; the later ones may be of unknown types."""
    from caffe.net.net import Net

    part = caffe_pb2.NetParameter()
    part.CopyFrom(param)
    del part.layer[index:]
    net = Net.from_param(part, caffe_pb2.TEST, build_only=True)
    return {name: blob.shape for name, blob in net.blobs.items()}


def _until(param, end):
    index = _index(param, end)
    needed, kept = set(param.layer[index].top), []
    for layer in reversed(param.layer[: index + 1]):
        if any(top in needed for top in layer.top):
            kept.append(layer)
            needed.update(layer.bottom)
    out = caffe_pb2.NetParameter(name=param.name)
    out.layer.extend(reversed(kept))
    return out


def usable_part(param: caffe_pb2.NetParameter, layers: Sequence[str]) -> str:
    """Return a hint with the -on that excludes the first of `layers` (names that cannot be created), or ""."""
    first = next((layer for layer in param.layer if layer.name in layers), None)
    for layer in reversed(param.layer):
        if first is not None and layer.type != "Input" and set(layer.top) & set(first.bottom):
            return f"\nThe layers before can be used alone: -on {layer.name}"
    return ""
