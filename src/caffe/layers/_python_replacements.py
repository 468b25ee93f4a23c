"""Replaces Python layers of well-known repositories by built-in layers if their module cannot be imported.

The modules are those of py-faster-rcnn, py-R-FCN and derived repositories, CTPN, ENet, and Synopsys' models. The layers
that other repositories wrote in C++ with the settings of such a module are replaced as well.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from caffe.core import glog
from caffe.proto import caffe_pb2

DATA_SHAPES = {"im_info": (1, 3)}  # tops of data layers, other than the images, that a net reads at inference


def replace(net: Any, training: bool = False) -> Any:
    """Return `net` (NetParameter) with known Python layers replaced, which is logged."""
    if not any(_replacement(layer, training) for layer in net.layer):
        return net
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    for layer in out.layer:
        maker = _replacement(layer, training)
        if maker:
            _become(layer, maker)
    return out


def _replacement(layer: Any, training: bool) -> Any:
    """Return the function that changes the layer, or None."""
    if layer.type != "Python":
        return None if training else TEST_TYPES.get(layer.type)
    maker = _maker(layer, training)
    return None if maker is None or importable(layer.python_param.module) else maker


def _maker(layer: Any, training: bool) -> Any:
    p = layer.python_param
    name = (p.module.rpartition(".")[2], p.layer)
    if not layer.bottom or ("pad_mode" in p.param_str and "constant" not in p.param_str):
        return None
    if name == ("eltwise", "Eltwise") and not _is_plain_eltwise(settings(p.param_str)):
        return None
    return MAKERS.get(name) or (None if training else TEST_MAKERS.get(name))


def _is_plain_eltwise(values):
    """Return whether the operation is a product, a sum or a maximum without coefficients."""
    plain = all(number == 1 for number in values.get("coeff", []))
    return values.get("operation") in ([0], [1], [2]) and plain


def importable(module: str) -> bool:
    """Return whether `module` can be imported; only its parent packages are imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _become(layer: Any, maker: Any) -> None:
    p = layer.python_param
    kind, text = layer.type, p.param_str
    reason = f"{p.module}.{p.layer} cannot be imported; it" if kind == "Python" else f"{kind} of a fork"
    maker(layer, settings(text))
    layer.ClearField("python_param")
    glog.info(f"layer '{layer.name}': {reason} is replaced by {layer.type}")


def settings(text: str) -> dict[str, list[float]]:
    """Return the values in a param_str (YAML or a Python dict): `key: number` and lists of numbers."""
    found = {}
    for key, value in re.findall(
        r"['\"]?(\w+)['\"]?\s*:\s*(?:!!python/tuple\s*)?(\[[^\]]*\]|\([^)]*\)|['\"]?[-+.\w]+)", text
    ):
        numbers = re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", value)
        found[key] = [float(number) for number in numbers]
    return found


def _proposal(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace rpn.proposal_layer, with the TEST settings of py-faster-rcnn's config.py."""
    layer.type = "Proposal"
    p = layer.proposal_param
    p.feat_stride = int(values.get("feat_stride", [16])[0])
    p.base_size = int(values.get("base_size", [16])[0])
    p.ratio.extend(values.get("ratios", [0.5, 1, 2]))
    p.scale.extend(values.get("scales", [8, 16, 32]))
    p.pre_nms_topn, p.post_nms_topn, p.nms_thresh, p.min_size = 6000, 300, 0.7, 16


def _shape(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace shape.TensorShape of Synopsys' models."""
    layer.type = "Shape"


def _pad(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace pad.PadTensor of Synopsys' models, which pads height and width with zeros."""
    layer.type = "Pad"
    sides = [int(values.get(name, [0])[0]) for name in ("pad_t", "pad_b", "pad_l", "pad_r")]
    layer.pad_param.paddings.extend([0] * 4 + sides)


def _dropout(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace spatial_dropout.SpatialDropoutLayer of ENet, which is a copy in TEST."""
    layer.type = "Dropout"


def _reorg(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace yolov2.darknet_reorg of Synopsys' models."""
    layer.type = "Reorg"
    layer.reorg_param.stride = 2


def _eltwise(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace eltwise.Eltwise of Synopsys' models, which broadcasts its bottoms."""
    layer.type = {0: "Mul", 1: "Add", 2: "Maximum"}[int(values["operation"][0])]


def _text_proposal(layer: Any, values: dict[str, list[float]]) -> None:
    """Replace layers.text_proposal_layer of CTPN."""
    layer.type = "TextProposal"
    layer.proposal_param.feat_stride = int(values.get("feat_stride", [16])[0])


MAKERS = {
    ("text_proposal_layer", "ProposalLayer"): _text_proposal,
    ("shape", "TensorShape"): _shape,
    ("pad", "PadTensor"): _pad,
    ("eltwise", "Eltwise"): _eltwise,
    ("yolov2", "darknet_reorg"): _reorg,
    ("proposal_layer", "ProposalLayer"): _proposal,
    ("proposal_layer", "ProposalLayer2"): _proposal,
}

# Correct in TEST only.
TEST_MAKERS = {("spatial_dropout", "SpatialDropoutLayer"): _dropout}
TEST_TYPES = {"FrcnnProposal": _proposal}  # caffe-faster-rcnn, whose settings are in a file; these are its defaults
