"""Part of a net: from a start layer to an end layer, as mvNCCompile's -in and -on name them."""

from __future__ import annotations

from caffe.errors import did_you_mean
from caffe.proto import caffe_pb2
from ncs.errors import NcsError


def cut(param, start=None, end=None):
    """The layers of a deploy net (NetParameter, V2) from the one named `start` to the one named `end`, both included.

    What `start` read becomes an Input of the same name and shape. Layers that do not lead to `end` go.
    Raises NcsError for a name that no layer has, and where the part needs a blob made before `start`.
    """
    if start is not None and end is not None and _place(param, end) < _place(param, start):
        raise NcsError(f"the last layer, '{end}', comes before the first, '{start}'")
    if start is not None:
        param = _from(param, start)
    return param if end is None else _until(param, end)


def _place(param, name):
    names = [layer.name for layer in param.layer]
    if name not in names:
        raise NcsError(
            "net '{}' has no layer '{}'{}; its layers are {}".format(
                param.name, name, did_you_mean(name, names), ", ".join(names)
            )
        )
    return names.index(name)


def _from(param, start):
    place = _place(param, start)
    first = param.layer[place]
    if first.type == "Input":
        return param
    out = caffe_pb2.NetParameter(name=param.name)
    shapes = _shapes(param, place)
    for bottom in first.bottom:
        layer = out.layer.add(name=bottom + "_input", type="Input", top=[bottom])
        layer.input_param.shape.add().dim.extend(shapes[bottom])
    made = set(first.bottom)
    for layer in param.layer[place:]:
        missing = [bottom for bottom in layer.bottom if bottom not in made]
        if missing and layer.type != "Input":
            raise NcsError(
                f"layer '{layer.name}' needs blob '{missing[0]}', which is made before '{start}': start at a layer that all roads go through"
            )
        made.update(layer.top)
        out.layer.add().CopyFrom(layer)
    return out


def _shapes(param, place):
    """Blob name -> shape, of what the layers before the one at `place` make; those behind it may be unknown here."""
    from caffe.net.net import Net

    part = caffe_pb2.NetParameter()
    part.CopyFrom(param)
    del part.layer[place:]
    net = Net.from_param(part, caffe_pb2.TEST, build_only=True)
    return {name: blob.shape for name, blob in net.blobs.items()}


def _until(param, end):
    place = _place(param, end)
    wanted, kept = set(param.layer[place].top), []
    for layer in reversed(param.layer[: place + 1]):
        if any(top in wanted for top in layer.top):
            kept.append(layer)
            wanted.update(layer.bottom)
    out = caffe_pb2.NetParameter(name=param.name)
    out.layer.extend(reversed(kept))
    return out


def offer(param, layers):
    """What to say of a net whose `layers` (names) cannot be made: the -on that leaves the first of them out, or ""."""
    first = next((layer for layer in param.layer if layer.name in layers), None)
    for layer in reversed(param.layer):
        if first is not None and layer.type != "Input" and set(layer.top) & set(first.bottom):
            return f"\nWhat comes before can be used alone: -on {layer.name}"
    return ""
