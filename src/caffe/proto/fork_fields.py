"""What the fields that forks added (forks.proto) mean here: a hint, a computation we have, or one we do not have.

A hint changes no result: it is noted when a file is read. A field in TAKEN is computed by the layers that use its message.
Any other field is refused when a layer is made with it, unless it has its default value. A layer that is cut off before
that is never made, so its fields do not matter. Fork messages (PriorBoxParameter) belong to the fork's layer types, which
take all of their fields but those in LEFT_OUT.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from caffe.errors import did_you_mean

OWN = 20001  # members that a fork added to one of Caffe's messages are numbered from here; SSD's keep their numbers
_ANY = "*"  # of a message: every field; as a message: every message

HINTS: dict[str, str] = {
    _ANY: "engine",
    "NetParameter": _ANY,
    "SolverParameter": _ANY,
    "ParamSpec": _ANY,
    "FillerParameter": _ANY,  # first values of weights
    "LayerParameter": (
        "forward_type backward_type forward_math backward_math debug cudnn_math_override multinode mn_activation_param "
        "mn_grad_compress_param quantization_param device buffer bottom_data_type compute_data_type top_data_type "
        "bottom_quantizer top_quantizer net_quantizer blobs_quantizer autotune bottom_shared_index top_shared_index"
    ),
    "ConvolutionParameter": (
        "cudnn_convolution_algo_seeker conv_algos_override CuDNNFwdAlgo CuDNNBwdFilterAlgo CuDNNBwdDataAlgo "
        "CuDNNWorkspaceSize conv_algorithm weight_fixed dis_mode gen_mode submanifold_sparse"
    ),
    "InnerProductParameter": "weight_fixed dis_mode gen_mode",
    "PoolingParameter": "torch_pooling blobs_lr blobs_a_min",
    "BatchNormParameter": "stats_batch_size update_global_stats icnet",
    "ReLUParameter": "fuse",
    "ScaleParameter": "dis_mode gen_mode min_value max_value",
    "DropoutParameter": "random_seed sqrt_scale",
    "AccuracyParameter": _ANY,
    "DataParameter": "threads parser_threads cache prefetch_size",
    "ImageDataParameter": "threads cache precache",
    "TransformationParameter": "use_gpu_transform display debug_params random_seed",
}

# Fork fields of Caffe's messages that layers here compute.
TAKEN: dict[str, str] = {
    "PoolingParameter": "ceil_mode pad_l pad_r pad_t pad_b pad_type avg_include_pad AVE_EXC_PAD AVE_TF",
    "ConvolutionParameter": "relu negative_slope dilation_h dilation_w pad_l pad_r pad_t pad_b pad_type",
    "InnerProductParameter": "relu negative_slope",
    "BatchNormParameter": "scale_filler bias_filler scale_bias use_weight_bias bias_term filler relu fused_relu add_eps_before_sqrt",
    "ReshapeParameter": "pixelshuffler",
    "ConcatParameter": "per_fla_fuse",
    "EltwiseParameter": "DIV MIN",
    "ReLUParameter": "relu6 maximum minimum",
    "DropoutParameter": "scale_train sample_weights_test",
    "LossParameter": "PRE_FIXED pre_fixed_normalizer",
}

# Fields of fork messages that the layers here do not compute.
LEFT_OUT: dict[str, str] = {
    "BNParameter": "across_spatial",
    "InterpParameter": "full_zoom_factor",
    "NormalizeParameter": "rescale fix_gradient bp_norm add_eps_before_sqrt",
    "ProposalParameter": (
        "nms_input_num nms_output_num stride_h stride_w nms_iou_th min_width min_height anchor anchor_base_size anchor_scale "
        "anchor_ratio max_rois rpn_min_size rpn_nms_thresh"
    ),
    "SmoothL1LossParameter": "abssum",
    "DetectionOutputParameter": "scale_xywh",
}

# The same in data layers in TEST: they change pictures at random, and only in training.
AUGMENTATION = [
    "noise_param",
    "emit_constraint",
    "distort_param",
    "expand_param",
    "vertical_mirror",
    "random_90_deg_rot",
    "img_rand_resize_lower",
    "img_rand_resize_upper",
    "rand_resize_ratio_lower",
    "rand_resize_ratio_upper",
    "vertical_stretch_lower",
    "vertical_stretch_upper",
    "horizontal_stretch_lower",
    "horizontal_stretch_upper",
    "random_aspect_ratio_param",
    "rotate",
    "enable_classf_aug",
    "min_scaling_factor",
    "max_scaling_factor",
    "max_rotation_angle",
    "contrast_brightness_adjustment",
    "smooth_filtering",
    "min_contrast",
    "max_contrast",
    "max_brightness_shift",
    "max_smooth",
    "max_color_shift",
    "apply_probability",
    "scale_factors",
    "fix_crop",
    "more_fix_crop",
    "multi_scale",
    "scale_ratios",
    "max_distort",
    "add_noise",
    "noise_ratio",
    "erase_ratio",
    "scale_min",
    "scale_max",
    "aspect_min",
    "aspect_max",
    "interpolation_algo_down",
    "interpolation_algo_up",
]

# Engines that schemas do not list.
ENGINES = {"MKL2017", "MKLDNN", "SPATIAL", "LIBDNN", "NNPACK", "INTEL_SPATIAL"}


def is_hint(message: str, field: str) -> bool:
    """Whether a field of forks changes no result."""
    if field not in origins(message):
        return False
    return field in HINTS[_ANY].split() or _lists(HINTS, message, field)


def _lists(table: dict[str, str], message: str, name: str) -> bool:
    names = table.get(message, "")
    return names == _ANY or name in names.split()


@functools.cache
def _by_message() -> dict[str, dict[str, str]]:
    """Message -> field or enum value -> the forks that have it, from the comments of forks.proto."""
    found: dict[str, dict[str, str]] = {}
    scope: list[str] = []
    text = Path(__file__).with_name("forks.proto").read_text(encoding="utf-8")
    for line in text.splitlines():
        head = re.match(r"\s*message (\w+) \{", line)
        field = re.match(r"\s*(?:optional|repeated) \S+ (\w+) = .*//\s*(.*)", line)
        if head:
            scope.append(head.group(1))
        elif line.strip() == "}":
            scope.pop()
        elif field and scope:
            found.setdefault(scope[-1], {})[field.group(1)] = field.group(2)
    return found


def origins(message: str) -> dict[str, str]:
    """Field -> the forks that have it, of the fields that forks added to `message`."""
    # V1 layers of forks took the same additions.
    return _by_message().get("LayerParameter" if message == "V1LayerParameter" else message, {})


_DATA = (
    "DataParameter ImageDataParameter WindowDataParameter HDF5DataParameter MemoryDataParameter TransformationParameter"
)


def may_be_of_another(message: str, field: str, known: Iterable[str]) -> bool:
    """Whether a field that no schema has is more probably a further fork's than a slip of the pen: one of a fork's message or
    of a data layer, or a whole `_param` that resembles none.
    """
    if message in ("LayerParameter", "V1LayerParameter"):
        return field.endswith("_param") and not did_you_mean(field, known, 0.85)
    return message not in _caffes_names() or message in _DATA.split()


def refused(layer: Any, training: bool = False) -> list[str]:
    """Return what `layer` (LayerParameter) asks for that no layer here computes: one line a field."""
    found = [f"unknown field {name}" for name in layer.unknown_field]
    for descriptor, value in layer.ListFields():
        if _reads(layer, descriptor.name) and descriptor.message_type is not None:
            for message in value if _is_repeated(value) else [value]:
                _look(message, training, found)
    return list(dict.fromkeys(found))


def _reads(layer: Any, name: str) -> bool:
    """Whether the layer looks at its field `name`."""
    if name == "transform_param":
        return not layer.bottom
    if name in ("softmax_param", "loss_param"):
        return "Loss" in layer.type or (name == "softmax_param" and layer.type == "Softmax")
    return name.endswith("_param")


def _is_repeated(value: object) -> bool:
    return not hasattr(value, "ListFields") and not isinstance(value, (str, bytes, int, float))


def _look(message: Any, training: bool, found: list[str]) -> None:
    name = message.DESCRIPTOR.name
    ours = _is_caffes(message.DESCRIPTOR)
    for descriptor, value in message.ListFields():
        values = list(value) if _is_repeated(value) else [value]
        if descriptor.enum_type is not None:
            words = [descriptor.enum_type.values_by_number[number].name for number in values if number >= OWN]
            if ours and descriptor.name != "engine":
                found += [_text(name, f"{descriptor.name}: {w}", "") for w in words if not _lists(TAKEN, name, w)]
        if _neutral(name, descriptor, value, ours, training):
            continue
        forks = origins(name).get(descriptor.name, "")
        found.append(_text(name, descriptor.name, forks))


def _text(message: str, what: str, forks: str) -> str:
    return "{}.{}{} changes what the net computes and is not implemented".format(
        message, what, f" ({forks})" if forks else ""
    )


def _neutral(name: str, descriptor: Any, value: Any, ours: bool, training: bool) -> bool:
    """Whether a set field needs no refusal: it is Caffe's or computed, a hint, or has its default."""
    if not ours:
        return not _lists(LEFT_OUT, name, descriptor.name) or _is_default(descriptor, value)
    if descriptor.name not in origins(name) or is_hint(name, descriptor.name) or _lists(TAKEN, name, descriptor.name):
        return True
    if name == "TransformationParameter" and not training and descriptor.name in AUGMENTATION:
        return True
    return _is_default(descriptor, value)


def _is_default(descriptor: Any, value: Any) -> bool:
    return descriptor.message_type is None and not _is_repeated(value) and value == descriptor.default_value


@functools.cache
def _caffes_names() -> frozenset[str]:
    text = Path(__file__).with_name("caffe.proto").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^\s*message (\w+) \{", text, re.MULTILINE))


def _is_caffes(descriptor: Any) -> bool:
    return descriptor.name in _caffes_names()
