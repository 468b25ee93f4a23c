"""Python layers of popular repositories, replaced by layers of ours where their module is not on Python's path.

(module, class) -> what the layer becomes. The modules are those of py-faster-rcnn, py-R-FCN and what is derived from them.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from caffe.core import glog
from caffe.proto import caffe_pb2

DATA_SHAPES = {"im_info": (1, 3)}  # tops of data layers, besides the pictures, that a net reads at inference


def replace(net: Any, training: bool = False) -> Any:
    """Return `net` (NetParameter) with the Python layers that we have replaced; the log says which."""
    found = [layer for layer in net.layer if layer.type == "Python" and _maker(layer, training)]
    found = [layer for layer in found if not importable(layer.python_param.module)]
    if not found:
        return net
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    for layer in out.layer:
        maker = _maker(layer, training) if layer.type == "Python" else None
        if maker and not importable(layer.python_param.module):
            _become(layer, maker)
    return out


def _maker(layer: Any, training: bool) -> Any:
    p = layer.python_param
    name = (p.module.rpartition(".")[2], p.layer)
    if not layer.bottom or ("pad_mode" in p.param_str and "constant" not in p.param_str):
        return None
    return MAKERS.get(name) or (None if training else TEST_MAKERS.get(name))


def importable(module: str) -> bool:
    """Whether Python finds `module`; nothing is imported but its parent packages."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _become(layer: Any, maker: Any) -> None:
    p = layer.python_param
    module, name, text = p.module, p.layer, p.param_str
    maker(layer, settings(text))
    layer.ClearField("python_param")
    glog.info(f"layer '{layer.name}': {module}.{name} is not importable; {layer.type} takes its place")


def settings(text: str) -> dict[str, list[float]]:
    """Numbers by key of a param_str: YAML or a Python dict, of which these layers use `key: number` and lists."""
    found = {}
    for key, value in re.findall(
        r"['\"]?(\w+)['\"]?\s*:\s*(?:!!python/tuple\s*)?(\[[^\]]*\]|\([^)]*\)|['\"]?[-+.\w]+)", text
    ):
        numbers = re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", value)
        found[key] = [float(number) for number in numbers]
    return found


def _proposal(layer: Any, given: dict[str, list[float]]) -> None:
    """rpn.proposal_layer: the TEST settings of py-faster-rcnn's config.py."""
    layer.type = "Proposal"
    p = layer.proposal_param
    p.feat_stride = int(given.get("feat_stride", [16])[0])
    p.base_size = int(given.get("base_size", [16])[0])
    p.ratio.extend(given.get("ratios", [0.5, 1, 2]))
    p.scale.extend(given.get("scales", [8, 16, 32]))
    p.pre_nms_topn, p.post_nms_topn, p.nms_thresh, p.min_size = 6000, 300, 0.7, 16


def _shape(layer: Any, given: dict[str, list[float]]) -> None:
    """shape.TensorShape of Synopsys' models."""
    layer.type = "Shape"


def _pad(layer: Any, given: dict[str, list[float]]) -> None:
    """pad.PadTensor of Synopsys' models: zeros around a plane."""
    layer.type = "Pad"
    sides = [int(given.get(name, [0])[0]) for name in ("pad_t", "pad_b", "pad_l", "pad_r")]
    layer.pad_param.paddings.extend([0] * 4 + sides)


def _dropout(layer: Any, given: dict[str, list[float]]) -> None:
    """spatial_dropout.SpatialDropoutLayer of ENet, in TEST: a copy."""
    layer.type = "Dropout"


def _reorg(layer: Any, given: dict[str, list[float]]) -> None:
    """yolov2.darknet_reorg of Synopsys' models."""
    layer.type = "Reorg"
    layer.reorg_param.stride = 2


MAKERS = {
    ("shape", "TensorShape"): _shape,
    ("pad", "PadTensor"): _pad,
    ("yolov2", "darknet_reorg"): _reorg,
    ("proposal_layer", "ProposalLayer"): _proposal,
    ("proposal_layer", "ProposalLayer2"): _proposal,
}

# Right in TEST alone.
TEST_MAKERS = {("spatial_dropout", "SpatialDropoutLayer"): _dropout}
