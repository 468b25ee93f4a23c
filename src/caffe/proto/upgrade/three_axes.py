"""Reads the three-dimensional layers of C3D 1.0, which have the additional fields in Caffe's own parameters.

CONVOLUTION3D and POOLING3D get the parameters of C3D 1.1, convolution3d_param and pooling3d_param; DECONVOLUTION3D,
also of C3D 1.1, becomes Caffe's Deconvolution, with one kernel size per axis. The sizes of the videos move to
video_data_param.
"""

from __future__ import annotations

from typing import Any

from caffe.core import glog

_STEMS = {"Convolution3D": "convolution", "Pooling3D": "pooling"}
_VIDEO_FIELDS = ("source", "batch_size", "new_length", "new_height", "new_width", "shuffle", "use_image")


def rewrite(net: Any, filename: str) -> None:
    """Change C3D 1.0's layers in a V2 NetParameter, which is logged."""
    found = [layer for layer in net.layer if _rewrite(layer)]
    if found:
        glog.info(f"{filename}: the {len(found)} layers of C3D 1.0 are read as those of C3D 1.1")


def _rewrite(layer: Any) -> bool:
    stem = _STEMS.get(layer.type)
    if stem and layer.HasField(f"{stem}_param") and not layer.HasField(f"{stem}3d_param"):
        _move(getattr(layer, f"{stem}_param"), getattr(layer, f"{stem}3d_param"))
        layer.ClearField(f"{stem}_param")
    elif layer.type == "Deconvolution3D":
        layer.type = "Deconvolution"
        if layer.HasField("convolution3d_param"):
            _copy_sides(layer.convolution3d_param, layer.convolution_param)
            layer.ClearField("convolution3d_param")
        _to_axes(layer.convolution_param)
    elif layer.type.startswith("Video") and layer.image_data_param.HasField("new_length"):
        for name in _VIDEO_FIELDS:
            setattr(layer.video_data_param, name, getattr(layer.image_data_param, name))
        layer.ClearField("image_data_param")
    else:
        return False
    return True


def _move(old: Any, new: Any) -> None:
    """Copy the fields of a layer's parameter to those of the same names."""
    for descriptor, value in old.ListFields():
        if descriptor.message_type is not None:
            getattr(new, descriptor.name).CopyFrom(value)
        elif descriptor.name in new.DESCRIPTOR.fields_by_name:
            setattr(new, descriptor.name, value[0] if hasattr(value, "append") else value)


def _copy_sides(old: Any, new: Any) -> None:
    """Copy a Convolution3DParameter to a ConvolutionParameter, whose kernel_size, stride and pad are repeated."""
    for descriptor, value in old.ListFields():
        if descriptor.message_type is not None:
            getattr(new, descriptor.name).CopyFrom(value)
        elif descriptor.name in ("kernel_size", "stride", "pad"):
            getattr(new, descriptor.name).append(value)
        else:
            setattr(new, descriptor.name, value)


def _to_axes(p: Any) -> None:
    """Write the values for frames, height and width of a ConvolutionParameter as Caffe does."""
    fields = (("kernel_depth", "kernel_size", 0), ("temporal_stride", "stride", 1), ("temporal_pad", "pad", 0))
    for frames, name, default in fields:
        side = next(iter(getattr(p, name)), default)
        sizes = [getattr(p, frames), side, side]
        del getattr(p, name)[:]
        getattr(p, name).extend(sizes)
        p.ClearField(frames)
