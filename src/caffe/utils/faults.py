"""Error messages about layers: the fork that has an unknown type, and equal errors of several layers as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_SIMILAR = 0.85  # Convolutoin; not DepthwiseConvolution for Deconvolution

# Layer types of forks that are not implemented: the fork, and what the layer does.
FORK_TYPES: dict[str, tuple[str, str]] = {
    "Gather": ("TSN, Synopsys Caffe", "picks items by index"),
    "ConvolutionFixed": ("Xilinx", "a quantized convolution"),
    "ConvolutionBNFixed": ("Xilinx", "a quantized convolution with its normalization"),
    "TRT": ("NVCaffe", "a TensorRT engine"),
    "DetectNetTransformation": ("NVCaffe", "DetectNet's boxes as training targets"),
    "SubRegion": ("caffe-windows", "crops around landmarks"),
    "Hotspot": ("caffe-windows", "heat maps of landmarks"),
    "AssistedExcitation": ("MobileNet-YOLO", "training with extra activation at objects"),
    "ProposalTarget": ("Cascade R-CNN, MS-CNN", "training targets of regions"),
    "DetectionData": ("Cascade R-CNN", "reads images with boxes"),
    "ImageGtData": ("MS-CNN", "reads images with boxes"),
    "EvalData": ("Cascade R-CNN", "reads images for evaluation"),
    "FrcnnOutput": ("Cascade R-CNN", "writes detections to files"),
    "HardMining": ("Cascade R-CNN", "chooses hard regions for training"),
    "ConvLSTM": ("AGS", "an LSTM of convolutions"),
    "LRNRistretto": ("Ristretto", "a quantized LRN"),
    "DenseCRF": ("DeepLab, PSPNet", "a dense conditional random field"),
    "DomainTransform": ("DeepLab, PSPNet", "an edge-preserving filter"),
    "MatWrite": ("DeepLab, PSPNet", "writes MATLAB files"),
    "MatRead": ("DeepLab, PSPNet", "reads MATLAB files"),
    "Accum": ("FlowNet2", "sizes of a pyramid of predictions"),
    "DataAugmentation": ("FlowNet2", "random changes of images"),
    "CustomData": ("FlowNet2", "reads flow data"),
    "Nms": ("OpenPose", "non-maximum suppression of heat maps"),
    "ImResize": ("OpenPose", "bicubic resizing"),
}

# Types of forks for training and evaluation; a deploy net does not contain them.
LOSSES = frozenset(["YoloSeg", "YoloV2Loss", "YoloV3Loss", "LossTree", "SoftmaxLossTree"])
EVALUATORS = frozenset(
    [
        "BboxAccuracy",
        "DetectionAccuracy",
        "DetectionGroupAccuracy",
        "AccuracyTree",
        "LabelsequenceAccuracy",
        "TransformAccuracy",
        "Recall",
        "SegmentationEvaluate",
        "ParseEvaluate",
        "SegmentEvaluate",
        "MatWrite",
    ]
)


def is_loss(layer_type: str) -> bool:
    """Return whether an unknown layer type is a loss."""
    return layer_type in LOSSES or layer_type.endswith(("Loss", "LossOHEM"))


def unknown_type(layer_type: str, known: Iterable[str]) -> str:
    """Return the error message for a layer type that is not in `known`."""
    if layer_type in FORK_TYPES:
        fork, description = FORK_TYPES[layer_type]
        return f"layer type '{layer_type}' ({description}; {fork}) is not implemented"
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(layer_type.lower(), by_lower, n=1, cutoff=_SIMILAR)
    hint = f"; did you mean '{by_lower[close[0]]}'?" if close else ""
    return f"unknown layer type '{layer_type}'{hint}"


def grouped(errors: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Return one line per different (type, text) of (location, layer name, type, text), with the number of layers."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for location, name, layer_type, text in errors:
        groups.setdefault((layer_type, text), []).append((location, name))
    lines = []
    for (layer_type, text), layers in groups.items():
        location, name = layers[0]
        more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
        lines.append(f"{location}: layer '{name}'{more} ({layer_type}): {text}")
    return lines
