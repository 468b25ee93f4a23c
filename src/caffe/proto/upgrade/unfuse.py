"""Replace layers in which a fork computes several steps by Caffe's separate layers, when a Net is created.

In intel/caffe a ReLU can be a field of Convolution, InnerProduct and BatchNorm. Synopsys' DetectionOutput reads the
maps one by one, and does the work of Permute, Flatten and Concat. The weights stay with their layer.
"""

from __future__ import annotations

from typing import Any

from caffe.proto import caffe_pb2

_PARAMS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "BatchNorm": "batch_norm_param",
}
_FIELDS = ("relu", "fused_relu", "negative_slope")


def unfuse(net: Any, where: list[str]) -> tuple[Any, list[str]]:
    """Return (NetParameter, where) with separate layers."""
    if not any(_has_relu(layer) or _reads_maps(layer) for layer in net.layer):
        return net, where
    out = caffe_pb2.NetParameter()
    locations: list[str] = []
    out.CopyFrom(net)
    del out.layer[:]
    for layer, location in zip(net.layer, where):
        if _reads_maps(layer):
            _join_maps(out, layer)
        out.layer.add().CopyFrom(layer)
        if _reads_maps(layer):
            _read_joined_maps(out.layer[-1])
        if _has_relu(layer):
            _separate_relu(out, out.layer[-1])
        locations += [location] * (len(out.layer) - len(locations))
    return out, locations


def _reads_maps(layer: Any) -> bool:
    """Return whether the bottoms of a DetectionOutput are all maps of scores, all maps of offsets, and the priors."""
    p = layer.detection_output_param
    return (
        layer.type == "DetectionOutput" and len(layer.bottom) > 5 and len(layer.bottom) % 2 == 1 and not p.ratio_permute
    )


def _join_maps(net: Any, layer: Any) -> None:
    """Add layers that join the scores to one blob and the offsets to another.

    With no_permute, scores are N x classes x anchors x positions and offsets N x (4 anchors) x height x width.
    """
    maps = len(layer.bottom) // 2
    for kind, bottoms, order in (
        ("scores", layer.bottom[:maps], (0, 3, 2, 1)),
        ("offsets", layer.bottom[maps : 2 * maps], (0, 2, 3, 1)),
    ):
        flat = []
        for number, bottom in enumerate(bottoms):
            name = f"{layer.name}_{kind}{number}"
            if layer.detection_output_param.no_permute:
                permute = net.layer.add(
                    name=name + "_permute", type="Permute", bottom=[bottom], top=[name + "_permuted"]
                )
                permute.permute_param.order.extend(order)
                bottom = name + "_permuted"
            net.layer.add(name=name + "_flatten", type="Flatten", bottom=[bottom], top=[name])
            flat.append(name)
        net.layer.add(name=f"{layer.name}_{kind}", type="Concat", bottom=flat, top=[f"{layer.name}_{kind}"])


def _read_joined_maps(layer: Any) -> None:
    layer.bottom[:] = [f"{layer.name}_offsets", f"{layer.name}_scores", layer.bottom[-1]]
    layer.detection_output_param.ClearField("no_permute")
    layer.detection_output_param.ClearField("nbottom")


def _has_relu(layer: Any) -> bool:
    param = _PARAMS.get(layer.type)
    inner = getattr(layer, param) if param else None
    return inner is not None and any(getattr(inner, name, False) for name in ("relu", "fused_relu"))


def _separate_relu(net: Any, layer: Any) -> None:
    inner = getattr(layer, _PARAMS[layer.type])
    slope = getattr(inner, "negative_slope", 0.0)
    for name in _FIELDS:
        if name in inner.DESCRIPTOR.fields_by_name:
            inner.ClearField(name)
    names = {other.name for other in net.layer}
    for number, top in enumerate(layer.top):
        name = f"{layer.name}_relu" + (str(number) if number else "")
        relu = net.layer.add(name=name if name not in names else name + "_fused", type="ReLU", bottom=[top], top=[top])
        relu.relu_param.negative_slope = slope
