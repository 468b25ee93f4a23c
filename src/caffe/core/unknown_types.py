"""The message about a layer type that does not exist: what another Caffe meant by it, or the nearest known type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SIMILAR = 0.85  # Convolutoin; not DepthwiseConvolution, which is no Deconvolution
_DEPTHWISE = "write it as Convolution with `group` equal to the number of channels; the weights fit"
_SSD = "a layer of SSD's Caffe"
_ADVICE = {
    "DepthwiseConvolution": _DEPTHWISE,
    "ConvolutionDepthwise": _DEPTHWISE,
    "ReLU6": "write it as Clip with clip_param { min: 0 max: 6 }",
    "Permute": _SSD,
    "PriorBox": _SSD,
    "Normalize": _SSD,
    "DetectionOutput": _SSD,
    "MultiBoxLoss": _SSD,
    "AnnotatedData": _SSD,
    "Interp": "a layer of DeepLab's and PSPNet's Caffe",
    "Upsample": "a layer of SegNet's and YOLO's Caffe",
    "ROIPooling": "a layer of Fast R-CNN's Caffe",
    "ShuffleChannel": "a layer of ShuffleNet's Caffe",
    "Axpy": "a layer of SENet's Caffe",
    "BN": "a layer of older forks; BatchNorm and Scale compute the same with converted weights",
}


def hint(kind: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'X'?" or what the type is, to follow the type's name in a message; or ""."""
    if kind in _ADVICE:
        return f" ({_ADVICE[kind]})"
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(kind.lower(), by_lower, n=1, cutoff=_SIMILAR)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""
