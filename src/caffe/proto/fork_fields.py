"""The meaning of the fields that forks added (forks.proto): a hint, a field that our layers implement, or an error.

A hint does not change the results; the parser logs it. A field in IMPLEMENTED is read by the layers that use its
message. Every other field is an error when the layer is created, unless it has its default value. The fields of a layer
that is removed before that do not matter. Messages of forks (PriorBoxParameter) belong to the forks' layer types, which
implement all fields except those in NOT_IMPLEMENTED.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from caffe.errors import did_you_mean

FIRST_NUMBER = 20001  # of the members that forks other than SSD added to Caffe's messages
_ANY = "*"  # as a value: every field of the message; as a key: every message

HINTS: dict[str, str] = {
    _ANY: "engine",
    "NetParameter": _ANY,
    "SolverParameter": _ANY,
    "ParamSpec": _ANY,
    "FillerParameter": _ANY,  # initial weights
    "LayerParameter": (
        "forward_type backward_type forward_math backward_math debug cudnn_math_override multinode mn_activation_param "
        "mn_grad_compress_param quantization_param device buffer bottom_data_type compute_data_type top_data_type "
        "bottom_quantizer top_quantizer net_quantizer blobs_quantizer autotune bottom_shared_index top_shared_index "
        "strict_dim"
    ),
    "ConvolutionParameter": (
        "cudnn_convolution_algo_seeker conv_algos_override CuDNNFwdAlgo CuDNNBwdFilterAlgo CuDNNBwdDataAlgo "
        "CuDNNWorkspaceSize conv_algorithm weight_fixed dis_mode gen_mode submanifold_sparse filter_group "
        "mem_group_size"
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

# Fields that forks added to Caffe's messages, and that our layers implement.
IMPLEMENTED: dict[str, str] = {
    "PoolingParameter": (
        "ceil_mode pad_l pad_r pad_t pad_b pad_type avg_include_pad AVE_EXC_PAD AVE_TF kernel_size_3d stride_3d pad_3d"
    ),
    "ConvolutionParameter": (
        "relu negative_slope dilation_h dilation_w hole hole_h hole_w pad_l pad_r pad_t pad_b pad_type"
    ),
    "InnerProductParameter": "relu negative_slope normalize",
    "ParameterParameter": "blob_filler",
    "BatchNormParameter": (
        "scale_filler bias_filler scale_bias use_weight_bias bias_term filler relu fused_relu add_eps_before_sqrt"
    ),
    "ReshapeParameter": "pixelshuffler",
    "ConcatParameter": "per_fla_fuse",
    "EltwiseParameter": "DIV MIN",
    "ReLUParameter": "relu6 maximum minimum",
    "DropoutParameter": "scale_train sample_weights_test",
    "SolverParameter": "eval_type ap_version show_per_class_result",
    "LossParameter": "PRE_FIXED pre_fixed_normalizer weight_by_label_freqs class_weighting",
}

# Fields that only some layer types implement.
IMPLEMENTED_BY: dict[str, dict[str, str]] = {
    "AnnotatedData": {
        "TransformationParameter": "resize_param distort_param expand_param emit_constraint crop_h crop_w noise_param",
    },
    "SegData": {"TransformationParameter": "stride upper_size upper_height upper_width"},
    "DenseImageData": {"TransformationParameter": "crop_height crop_width scale_factors"},
    "ImageSegData": {
        "TransformationParameter": "crop_height crop_width scale_factors",
        "ImageDataParameter": "label_type ignore_label",
    },
}

# Fields of forks' messages that our layers do not implement.
NOT_IMPLEMENTED: dict[str, str] = {
    "CTCLossParameter": "alphabet_size time_step blank_label",
    "BNParameter": "across_spatial",
    "InterpParameter": "full_zoom_factor",
    "NormalizeParameter": "rescale fix_gradient add_eps_before_sqrt",
    "ProposalParameter": (
        "nms_input_num nms_output_num stride_h stride_w nms_iou_th min_width min_height anchor anchor_base_size "
        "anchor_scale anchor_ratio max_rois rpn_min_size rpn_nms_thresh"
    ),
    "SmoothL1LossParameter": "abssum",
    "DetectionOutputParameter": "scale_xywh use_polygon",
    "MultiBoxLossParameter": "use_polygon",
    "DetectionEvaluateParameter": "use_polygon",
    "UpsampleParameter": "height width",
}

# Fields of TransformationParameter without effect in phase TEST: random changes of training images.
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

# Engines that are in no schema.
ENGINES = {"MKL2017", "MKLDNN", "SPATIAL", "LIBDNN", "NNPACK", "INTEL_SPATIAL"}


def is_hint(message: str, field: str, layer_type: object = "") -> bool:
    """Return whether a field of a fork does not change the results; `layer_type` is the type of a LayerParameter."""
    if field == "quantization_param" and str(layer_type).endswith("Ristretto"):
        return False
    if field not in origins(message) or _lists(IMPLEMENTED, message, field):
        return False
    return field in HINTS[_ANY].split() or _lists(HINTS, message, field)


def _lists(table: dict[str, str], message: str, name: str) -> bool:
    names = table.get(message, "")
    return names == _ANY or name in names.split()


@functools.cache
def _text() -> str:
    return Path(__file__).with_name("forks.proto").read_text(encoding="utf-8")


@functools.cache
def origins(message: str) -> dict[str, str]:
    """Return field -> the forks that have it, of the fields that forks added to `message`.

    The forks are in the comments of forks.proto. Only the part of `message` is parsed: the file is long, and programs
    that read a net need a few messages.
    """
    if message == "V1LayerParameter":  # forks added the same fields to V1 layers
        message = "LayerParameter"
    members: dict[str, str] = {}
    for indent, body in re.findall(rf"^( *)message {message} \{{\n(.*?)^\1\}}", _text(), re.M | re.S):
        members.update(re.findall(rf"^{indent}  (?:optional|repeated) \S+ (\w+) = .*//[ \t]*(.*)", body, re.M))
    return members


_DATA = (
    "DataParameter ImageDataParameter WindowDataParameter HDF5DataParameter MemoryDataParameter TransformationParameter"
)


def is_probably_fork_field(message: str, field: str, known: Iterable[str]) -> bool:
    """Return whether a field that is in no schema is more probably of another fork than a typing error.

    That is a field of a fork's message or of a data layer, or a new `_param` that no known one resembles word by word.
    """
    if message in ("LayerParameter", "V1LayerParameter"):
        return field.endswith("_param") and not any(_resembles(field, other) for other in known)
    return message not in _caffe_messages() or message in _DATA.split()


def _resembles(word: str, other: str) -> bool:
    """Return whether `word` may be `other` with typing errors: image_xy_data_param is not image_data_param."""
    pairs = list(zip(word.split("_"), other.split("_")))
    digits = [[char for char in name if char.isdigit()] for name in (word, other)]
    same_form = word.count("_") == other.count("_") and digits[0] == digits[1]
    return same_form and all(part == like or did_you_mean(part, [like], 0.7) for part, like in pairs)


def refused(layer: Any, training: bool = False) -> list[str]:
    """Return an error message for each field of `layer` (LayerParameter) that no layer implements."""
    errors = [text if text.startswith("'") else f"unknown field {text}" for text in layer.unknown_field]
    for descriptor, value in layer.ListFields():
        if _is_read(layer, descriptor.name) and descriptor.message_type is not None:
            for message in value if _is_repeated(value) else [value]:
                _check_message(message, training, errors, IMPLEMENTED_BY.get(layer.type, {}))
    return list(dict.fromkeys(errors))


def _is_read(layer: Any, name: str) -> bool:
    """Return whether the layer reads its field `name`."""
    if name == "transform_param":
        return not layer.bottom
    if name in ("softmax_param", "loss_param"):
        return "Loss" in layer.type or (name == "softmax_param" and layer.type == "Softmax")
    return name.endswith("_param")


def _is_repeated(value: object) -> bool:
    return not hasattr(value, "ListFields") and not isinstance(value, (str, bytes, int, float))


def _check_message(message: Any, training: bool, errors: list[str], own: dict[str, str]) -> None:
    name = message.DESCRIPTOR.name
    of_caffe = name in _caffe_messages()
    for descriptor, value in message.ListFields():
        values = list(value) if _is_repeated(value) else [value]
        if descriptor.enum_type is not None and of_caffe and descriptor.name != "engine":
            members = descriptor.enum_type.values_by_number
            words = [members[number].name for number in values if number >= FIRST_NUMBER]
            errors += [
                _error(name, f"{descriptor.name}: {word}", "") for word in words if not _lists(IMPLEMENTED, name, word)
            ]
        if not _lists(own, name, descriptor.name) and not _is_allowed(name, descriptor, value, of_caffe, training):
            errors.append(_error(name, descriptor.name, origins(name).get(descriptor.name, "")))


def _error(message: str, field: str, forks: str) -> str:
    source = f" ({forks})" if forks else ""
    return f"{message}.{field}{source} changes what the net computes and is not implemented"


def _is_allowed(name: str, descriptor: Any, value: Any, of_caffe: bool, training: bool) -> bool:
    """Return whether a field is Caffe's, implemented, a hint, or has its default value."""
    field = descriptor.name
    if not of_caffe:
        return not _lists(NOT_IMPLEMENTED, name, field) or _is_default(descriptor, value)
    if field not in origins(name) or is_hint(name, field) or _lists(IMPLEMENTED, name, field):
        return True
    if name == "TransformationParameter" and not training and field in AUGMENTATION:
        return True
    return _is_default(descriptor, value)


def _is_default(descriptor: Any, value: Any) -> bool:
    return descriptor.message_type is None and not _is_repeated(value) and value == descriptor.default_value


@functools.cache
def _caffe_messages() -> frozenset[str]:
    text = Path(__file__).with_name("caffe.proto").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^\s*message (\w+) \{", text, re.MULTILINE))
