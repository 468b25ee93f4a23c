"""Marks the PriorBox layers of FaceBoxes and TextBoxes, whose prototxt is like SSD's, by their convolutions.

FaceBoxes has 4 x 4 boxes of 32 pixels and 2 x 2 of 64 at each position; TextBoxes has every box twice, the second half
a step below. Both show in the number of offsets that the convolution on the same bottom predicts.
"""

from __future__ import annotations

from typing import Any

from caffe.core import glog

_FACEBOXES = [32, 64, 128]
_FACEBOXES_COUNT = 21


def mark(net: Any, filename: str) -> None:
    """Set `faceboxes` or `textboxes` of the PriorBox layers of these nets (V2 NetParameter), which is logged."""
    priors = [layer for layer in net.layer if layer.type == "PriorBox" and layer.bottom]
    if any(_offsets(net, layer) == 4 * _FACEBOXES_COUNT and _is_faceboxes(layer) for layer in priors):
        _set(priors, "faceboxes", filename)
    elif priors and _shares_location(net) and all(_offsets(net, p) == 8 * _count(p.prior_box_param) for p in priors):
        _set(priors, "textboxes", filename)


def _shares_location(net: Any) -> bool:
    """Return whether the offsets are the same for all classes; otherwise there are more of them."""
    kinds = [("DetectionOutput", "detection_output_param"), ("MultiBoxLoss", "multibox_loss_param")]
    return all(getattr(layer, name).share_location for layer in net.layer for kind, name in kinds if layer.type == kind)


def _set(priors: list, name: str, filename: str) -> None:
    fresh = [x for x in priors if not getattr(x.prior_box_param, name) and not x.prior_box_param.denser_prior_boxes]
    for layer in fresh:
        setattr(layer.prior_box_param, name, True)
    if fresh:
        glog.info(f"{filename}: the convolutions predict the offsets of a net like {name}; its prior boxes are used")


def _is_faceboxes(layer: Any) -> bool:
    return [int(size) for size in layer.prior_box_param.min_size] == _FACEBOXES


def _offsets(net: Any, prior: Any) -> int:
    """Return the outputs of the convolution for offsets, of those that read the prior's bottom or its normalization."""
    outputs = [
        layer.convolution_param.num_output
        for layer in net.layer
        if layer.type == "Convolution" and list(layer.bottom) == [prior.bottom[0]] and "loc" in layer.name
    ]
    return outputs[0] if len(outputs) == 1 else 0


def _count(p: Any) -> int:
    """Return the number of SSD's boxes per position."""
    ratios = [1.0]
    for ratio in p.aspect_ratio:
        if all(abs(ratio - other) >= 1e-6 for other in ratios):
            ratios += [ratio, 1.0 / ratio] if p.flip else [ratio]
    return len(ratios) * len(p.min_size) + len(p.max_size)
