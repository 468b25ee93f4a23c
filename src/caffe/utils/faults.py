"""Messages about layers: which fork has a type that is not known here, and the same fault of many layers as one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caffe.errors import did_you_mean

# Layer types of forks that are not implemented: the fork, and what the layer does.
FORK_TYPES: dict[str, tuple[str, str]] = {
    "DenseBlock": ("caffe_ocr", "several densely connected convolutions in one layer"),
    "Gather": ("TSN, Synopsys Caffe", "picks items by index"),
    "FixedNeuron": ("Xilinx", "fixed-point quantization"),
    "ConvolutionFixed": ("Xilinx", "a quantized convolution"),
    "ConvolutionBNFixed": ("Xilinx", "a quantized convolution with its normalization"),
    "TRT": ("NVCaffe", "a TensorRT engine"),
    "DetectNetTransformation": ("NVCaffe", "DetectNet's boxes as training targets"),
    "SubRegion": ("caffe-windows", "crops around landmarks"),
    "Hotspot": ("caffe-windows", "heat maps of landmarks"),
    "AssistedExcitation": ("MobileNet-YOLO", "training with extra activation at objects"),
    "DenseCRF": ("DeepLab, PSPNet", "a dense conditional random field"),
    "DomainTransform": ("DeepLab, PSPNet", "an edge-preserving filter"),
    "MatWrite": ("DeepLab, PSPNet", "writes MATLAB files"),
    "MatRead": ("DeepLab, PSPNet", "reads MATLAB files"),
    "Accum": ("FlowNet2", "sizes of a pyramid of predictions"),
    "DataAugmentation": ("FlowNet2", "random changes of pictures"),
    "CustomData": ("FlowNet2", "reads flow data"),
    "LpqLoss": ("FlowNet2", "a loss of p and q norms"),
    "SpatialTransformer": ("Caffe-ST", "samples its bottom on a learned grid"),
    "Nms": ("OpenPose", "non-maximum suppression of heat maps"),
    "ImResize": ("OpenPose", "bicubic resizing"),
}

# Types of forks that belong to training and evaluation: a deploy net has none of them.
LOSSES = frozenset(["Yolov3", "YoloSeg", "YoloV2Loss", "YoloV3Loss", "RegionLoss", "MultiBoxLoss", "CenterLoss"])
EVALUATORS = frozenset(
    [
        "DetectionEvaluate",
        "SegAccuracy",
        "EvalDetection",
        "Recall",
        "SegmentationEvaluate",
        "ParseEvaluate",
        "SegmentEvaluate",
    ]
)


def is_loss(type_: str) -> bool:
    """Whether a layer type that is not known here is a loss."""
    return type_ in LOSSES or type_.endswith(("Loss", "LossOHEM"))


def unknown_type(type_: str, known: Iterable[str]) -> str:
    """Return what to say of a layer type that is not in `known`."""
    if type_ in FORK_TYPES:
        fork, what = FORK_TYPES[type_]
        return f"layer type '{type_}' ({what}; {fork}) is not implemented"
    return f"unknown layer type '{type_}'{did_you_mean(type_, known, 0.7)}"


def grouped(faults: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Return one line for each different (type, text) of (place, layer name, type, text), with how often it occurs."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for place, name, type_, text in faults:
        groups.setdefault((type_, text), []).append((place, name))
    lines = []
    for (type_, text), members in groups.items():
        place, name = members[0]
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        lines.append(f"{place}: layer '{name}'{more} ({type_}): {text}")
    return lines
