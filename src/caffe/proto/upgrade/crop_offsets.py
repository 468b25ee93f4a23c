"""Offsets of the Crop layers of the first FCN nets, whose Caffe aligned the two bottoms by the layers between them.

These are V1 layers of the type CROP (longjon/caffe, branch future). Since Caffe 1.0, a Crop without an offset begins at
0; a V2 layer is read so, with a warning if the alignment would be another one, as in the nets of HED.
"""

from __future__ import annotations

from typing import Any

from caffe.core import glog

Map = tuple[float, float]  # scale and shift of one axis: output = scale * input + shift
_WINDOWS = {"Convolution": "convolution_param", "Pooling": "pooling_param", "Deconvolution": "convolution_param"}


def v1_crops(net: Any, crop: int) -> set[str]:
    """Return the names of the V1 layers of the type number `crop`."""
    return {layer.name for layer in net.layers if layer.type == crop}


def set_offsets(net: Any, names: set[str]) -> None:
    """Set the offsets of the layers `names` (V2); a layer whose bottoms do not fit is an error when it is created."""
    for index, layer in enumerate(net.layer):
        if layer.type == "Crop" and layer.name in names and len(layer.bottom) == 2:
            found = alignment(net, index)
            if found is None or min(found) < 0:
                reason = "no path of convolutions and pooling" if found is None else f"the offsets are {found}"
                layer.unknown_field.append(
                    f"'{layer.bottom[0]}' cannot be aligned with '{layer.bottom[1]}' ({reason}), as a V1 layer CROP "
                    'does; write it as a V2 layer: type: "Crop" with crop_param { offset: … }'
                )
                continue
            layer.crop_param.offset.extend(found)
            glog.info(f"layer '{layer.name}' (CROP): offsets {found[0]} and {found[1]} align its bottoms")


def warn(net: Any) -> None:
    """Warn of V2 Crop layers without an offset that other Caffes align at other places."""
    for index, layer in enumerate(net.layer):
        if layer.type == "Crop" and not layer.HasField("crop_param") and len(layer.bottom) == 2:
            found = alignment(net, index)
            if found is not None and min(found) >= 0 and max(found) > 0:
                glog.warning(
                    f"layer '{layer.name}' (Crop) has no offset and crops at 0, as in Caffe 1.0; the Caffes of HED and "
                    f"FCN crop at the aligned place: crop_param {{ offset: {found[0]} offset: {found[1]} }}"
                )


def alignment(net: Any, index: int) -> tuple[int, int] | None:
    """Return the offsets along height and width of the Crop layer at `index`, or None if its bottoms do not fit."""
    first, second = (_path(net, index, bottom) for bottom in net.layer[index].bottom)
    common = next((name for name in second if name in first), None)
    if common is None or first[common] is None or second[common] is None:
        return None
    offsets = []
    for (scale, shift), (other_scale, other_shift) in zip(first[common], second[common]):
        if abs(scale - other_scale) > 1e-9:
            return None
        offset = shift - other_shift
        if abs(offset - round(offset)) > 1e-6:
            return None
        offsets.append(round(offset))
    return offsets[0], offsets[1]


def _path(net, index, blob):
    """Return blob -> maps of both axes from it to the bottom (None: unknown), along the first bottoms upwards."""
    maps: Any = ((1.0, 0.0), (1.0, 0.0))
    found = {blob: maps}
    while True:
        producer = next((i for i in range(index - 1, -1, -1) if blob in net.layer[i].top), None)
        if producer is None or not net.layer[producer].bottom:
            return found
        own = _maps(net.layer[producer])
        maps = None if own is None or maps is None else tuple(_compose(a, b) for a, b in zip(maps, own))
        index, blob = producer, net.layer[producer].bottom[0]
        found[blob] = maps


def _compose(outer: Map, inner: Map) -> Map:
    return outer[0] * inner[0], outer[0] * inner[1] + outer[1]


def _maps(layer):
    """Return the maps of a layer along height and width, or None if it moves values otherwise."""
    if layer.type in ("InnerProduct", "Reshape", "Flatten", "Permute"):
        return None
    if layer.type == "Crop":
        return tuple((1.0, -float(offset)) for offset in (list(layer.crop_param.offset) or [0]) * 2)[:2]
    if layer.type not in _WINDOWS:
        return ((1.0, 0.0),) * 2
    p = getattr(layer, _WINDOWS[layer.type])
    maps = []
    for axis, letter in enumerate("hw"):
        kernel, stride, pad, dilation = (
            _value(p, name, letter, axis, default)
            for name, default in (("kernel", 1), ("stride", 1), ("pad", 0), ("dilation", 1))
        )
        half = ((kernel - 1) * dilation) / 2
        maps.append((stride, half - pad) if layer.type == "Deconvolution" else (1 / stride, (pad - half) / stride))
    return tuple(maps)


def _value(p, name, letter, axis, default):
    """Return kernel, stride, pad or dilation along an axis."""
    if f"{name}_{letter}" in p.DESCRIPTOR.fields_by_name and p.HasField(f"{name}_{letter}"):
        return getattr(p, f"{name}_{letter}")
    values = getattr(p, "kernel_size" if name == "kernel" else name, default)
    if hasattr(values, "__len__"):
        return values[min(axis, len(values) - 1)] if len(values) else default
    return values
