"""What a fork computes inside one layer as the separate layers that Caffe has for it: a step of making a Net.

intel/caffe has the ReLU behind a Convolution, an InnerProduct or a BatchNorm as fields of that layer; Synopsys'
DetectionOutput takes the maps one by one and does what Permute, Flatten and Concat do. The weights stay where they are.
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
    """Return (NetParameter, where) with the inner layers apart."""
    if not any(_relu_inside(layer) or _takes_maps(layer) for layer in net.layer):
        return net, where
    out, places = caffe_pb2.NetParameter(), []
    out.CopyFrom(net)
    del out.layer[:]
    for layer, place in zip(net.layer, where):
        if _takes_maps(layer):
            _join_maps(out, layer)
        out.layer.add().CopyFrom(layer)
        if _takes_maps(layer):
            _take_joined(out.layer[-1])
        if _relu_inside(layer):
            _split(out, out.layer[-1])
        places += [place] * (len(out.layer) - len(places))
    return out, places


def _takes_maps(layer: Any) -> bool:
    """Whether a DetectionOutput has scores and offsets of each map as bottoms: all scores, all offsets, then the priors."""
    p = layer.detection_output_param
    return (
        layer.type == "DetectionOutput" and len(layer.bottom) > 5 and len(layer.bottom) % 2 == 1 and not p.ratio_permute
    )


def _join_maps(net: Any, layer: Any) -> None:
    """Add what makes one blob of the scores and one of the offsets. With no_permute the scores are N x classes x anchors x
    places, the offsets N x 4 anchors x height x width.
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


def _take_joined(layer: Any) -> None:
    layer.bottom[:] = [f"{layer.name}_offsets", f"{layer.name}_scores", layer.bottom[-1]]
    layer.detection_output_param.ClearField("no_permute")
    layer.detection_output_param.ClearField("nbottom")


def _relu_inside(layer: Any) -> bool:
    param = _PARAMS.get(layer.type)
    inner = getattr(layer, param) if param else None
    return inner is not None and any(getattr(inner, name, False) for name in ("relu", "fused_relu"))


def _split(net: Any, layer: Any) -> None:
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
