"""Upgrade old nets and solvers as upgrade_proto.cpp does: one function per step, in the order of STEPS."""

from __future__ import annotations

import os
from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.proto.upgrade import crop_offsets, nd_layers, prior_boxes, three_axes, unpooling, v0

V1 = caffe_pb2.V1LayerParameter
TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
    "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN", "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice", "TANH": "TanH",
    "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold",
    # Forks
    "BATCH_NORM": "BatchNorm", "BN": "BN", "CROP": "Crop", "ELTWISE_AFFINE": "EltwiseAffine", "INSANITY": "Insanity",
    "LOCAL": "Local", "NORMALIZE": "Normalize", "PARSE_EVALUATE": "ParseEvaluate", "PARSE_OUTPUT": "ParseOutput",
    "RELU6": "ReLU6", "RESHAPE": "Reshape", "ROIPOOLING": "ROIPooling", "SMOOTH_L1_LOSS": "SmoothL1Loss",
    "TRIPLET_LOSS": "TripletLoss", "COMPACT_DATA": "CompactData", "TRANSFORM_SOFTMAX_LOSS": "TransformSoftmaxLoss",
    "ACCURACY_TREE": "AccuracyTree", "MCWINDOW_DATA": "MCWindowData", "PRELU": "PReLU", "SPP": "SPP",
    "INTERP": "Interp", "IMAGE_SEG_DATA": "ImageSegData", "SEG_ACCURACY": "SegAccuracy",
    "BIAS_CHANNEL": "BiasChannel", "ADAPTIVE_BIAS_CHANNEL": "AdaptiveBiasChannel", "DENSE_CRF": "DenseCRF",
    "MAT_READ": "MatRead", "MAT_WRITE": "MatWrite", "UNIQUE_LABEL": "UniqueLabel", "CENTER_LOSS": "CenterLoss",
    "SCALE": "Scale", "BIAS": "Bias", "PERMUTE": "Permute", "TRANSFORM_ACCURACY": "TransformAccuracy",
    "LOSS_TREE": "LossTree", "SOFTMAX_LOSS_TREE": "SoftmaxLossTree", "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield",
    "CONVOLUTION3D": "Convolution3D",
    "POOLING3D": "Pooling3D", "DECONVOLUTION3D": "Deconvolution3D", "VIDEO_DATA": "VideoData",
    "VIDEO_SEGMENTATION_DATA": "VideoSegmentationData", "VIDEO_WITH_VOXEL_TRUTH_DATA": "VideoWithVoxelTruthData",
    "VOXEL_SOFTMAX": "Softmax", "VOXEL_SOFTMAX_LOSS": "SoftmaxWithLoss",
}  # fmt: skip
SOLVER_TYPES = {
    "SGD": "SGD", "NESTEROV": "Nesterov", "ADAGRAD": "AdaGrad", "RMSPROP": "RMSProp", "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}  # fmt: skip

_TRANSFORMED = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
    "VIDEO_DATA": "image_data_param",
    "VIDEO_SEGMENTATION_DATA": "image_data_param",
    "VIDEO_WITH_VOXEL_TRUTH_DATA": "image_data_param",
}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def upgrade_net(net: Any, where: list[str] | None = None, filename: str = "<net>") -> list[str]:
    """Upgrade a NetParameter of any version to V2 in place, and log the steps.

    Parameters
    ----------
    net : NetParameter
    where : list of str, optional
        Location ("file:line") of each layer, for error messages.
    filename : str
        File name for log lines and error messages.

    Returns
    -------
    list of str
        Locations of the layers of the upgraded net; an added Input layer has the location of the first `input`, or
        the file name.

    Raises
    ------
    CaffeError
        Lists everything that cannot be upgraded.
    """
    count = len(net.layers) or len(net.layer)
    crops = crop_offsets.v1_crops(net, V1.CROP)
    where = list(where or [f"{filename}: layer {index + 1}" for index in range(count)])
    for needed, upgrade, deprecated, line in STEPS:
        if needed(net):
            upgrade(net, where, filename)
            glog.info(f"Upgraded {filename}: it had deprecated {deprecated}", f"upgrade_proto.cpp:{line}")
    crop_offsets.set_offsets(net, crops)
    crop_offsets.warn(net)
    three_axes.rewrite(net, filename)
    nd_layers.rewrite(net, filename)
    unpooling.rewrite(net, filename)
    prior_boxes.mark(net, filename)
    return where


def data_needed(net: Any) -> bool:
    """Return whether a V1 data layer has scale, mean_file, crop_size or mirror in its own parameters."""
    params = [getattr(layer, name) for layer, name in _data_layers(net)]
    return any(param.HasField(name) for param in params for name in _TRANSFORM_FIELDS)


def upgrade_data(net: Any, where: list[str], filename: str) -> None:
    """Move scale, mean_file, crop_size and mirror of V1 data layers to transform_param."""
    for layer, name in _data_layers(net):
        param = getattr(layer, name)
        param.SetInParent()  # Caffe leaves an empty message too
        layer.transform_param.SetInParent()
        for field in _TRANSFORM_FIELDS:
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)


def _data_layers(net: Any) -> list[tuple[Any, str]]:
    names = {V1.LayerType.Value(name): param for name, param in _TRANSFORMED.items()}
    return [(layer, names[layer.type]) for layer in net.layers if layer.type in names]


def v1_needed(net: Any) -> bool:
    """Return whether the net has V1 layers: `layers { type: CONVOLUTION … }`."""
    return len(net.layers) > 0


def upgrade_v1(net: Any, where: list[str], filename: str) -> None:
    """Convert V1 to V2 layers: types become strings, and blobs_lr, weight_decay and names move to `param`."""
    if net.layer:
        raise CaffeError(f"{filename}: the net has both `layer` and `layers` (older); write all of them as `layer`")
    for old in net.layers:
        _upgrade_layer(old, net.layer.add())
    del net.layers[:]


def _upgrade_softmax_loss(old: Any, new: Any) -> None:
    """Convert DeepLab's softmaxloss_param to the loss_param of Caffe."""
    if old.HasField("ignore_label"):
        new.loss_param.ignore_label = old.ignore_label
    if old.HasField("weight_source"):
        new.unknown_field.append("SoftmaxLossParameter.weight_source")


def _upgrade_layer(old: Any, new: Any) -> None:
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    new.loss_weight.extend(old.loss_weight)
    new.include.MergeFrom(old.include)
    new.exclude.MergeFrom(old.exclude)
    new.blobs.MergeFrom(old.blobs)
    new.unknown_field.extend(old.unknown_field)
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("fork_type"):
        new.type = "".join(word.capitalize() for word in old.fork_type.split("_"))
    elif old.HasField("type"):
        new.type = TYPES[V1.LayerType.Name(old.type)]
    for values, field in (
        (old.param, "name"),
        (old.blob_share_mode, "share_mode"),
        (old.blobs_lr, "lr_mult"),
        (old.weight_decay, "decay_mult"),
    ):
        for index, value in enumerate(values):
            while len(new.param) <= index:
                new.param.add()
            setattr(new.param[index], field, value)
    for descriptor, value in old.ListFields():
        if descriptor.name == "softmaxloss_param":
            _upgrade_softmax_loss(value, new)
        elif descriptor.name.endswith("_param"):
            getattr(new, descriptor.name).CopyFrom(value)


def input_needed(net: Any) -> bool:
    """Return whether the net defines its inputs outside of its layers."""
    return len(net.input) > 0


def upgrade_input(net: Any, where: list[str], filename: str) -> None:
    """Replace input with input_shape or input_dim by an Input layer at the start."""
    inputs, shapes, dims = list(net.input), list(net.input_shape), list(net.input_dim)
    if shapes and len(shapes) != len(inputs):
        raise CaffeError(f"{filename}: {len(inputs)} input but {len(shapes)} input_shape; expected one per input")
    if not shapes and dims and len(dims) != 4 * len(inputs):
        raise CaffeError(f"{filename}: {len(inputs)} input but {len(dims)} input_dim; expected four per input")
    if shapes or dims:
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=inputs)
        for index in range(len(inputs)):
            layer.input_param.shape.add().dim.extend(shapes[index].dim if shapes else dims[4 * index : 4 * index + 4])
        _insert_first(net, layer)
        where.insert(0, filename)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _insert_first(net: Any, layer: Any) -> None:
    old = caffe_pb2.NetParameter()
    old.layer.MergeFrom(net.layer)
    del net.layer[:]
    net.layer.add().CopyFrom(layer)
    net.layer.MergeFrom(old.layer)


def batch_norm_needed(net: Any) -> bool:
    """Return whether a BatchNorm layer has `param` for its three blobs, which early versions required."""
    return any(layer.type == "BatchNorm" and len(layer.param) == 3 for layer in net.layer)


def upgrade_batch_norm(net: Any, where: list[str], filename: str) -> None:
    """Set lr_mult and decay_mult of such blobs to 0: they are statistics, which must not be trained."""
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for param in layer.param:
                param.lr_mult = 0
                param.decay_mult = 0


STEPS = (
    (v0.needed, v0.upgrade, "V0LayerParameter", 27),
    (data_needed, upgrade_data, "transformation parameters", 42),
    (v1_needed, upgrade_v1, "V1LayerParameter", 52),
    (input_needed, upgrade_input, "input fields", 66),
    (batch_norm_needed, upgrade_batch_norm, "batch norm params", 77),
)


def upgrade_solver(solver: Any, filename: str = "<solver>") -> None:
    """Replace the old solver_type by type in place; raise CaffeError if both are set."""
    if not solver.HasField("solver_type"):
        return
    if solver.HasField("type"):
        raise CaffeError(f"{filename}: both type ('{solver.type}') and the older solver_type are set; keep type")
    name = caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)
    solver.type = SOLVER_TYPES[name]
    solver.ClearField("solver_type")
    glog.info(f"Upgraded {filename}: it had the deprecated solver_type", "upgrade_proto.cpp:1117")


def set_snapshot_prefix(solver: Any, filename: str) -> None:
    """Set snapshot_prefix to the name of the solver file if it is missing or only a folder."""
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.path.splitext(filename)[0]
        text = "snapshot_prefix was not specified and is set to %s"
    elif os.path.isdir(solver.snapshot_prefix):
        stem = os.path.splitext(os.path.basename(filename))[0]
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, stem)
        text = "snapshot_prefix was a directory and is replaced to %s"
    else:
        return
    glog.info(text % solver.snapshot_prefix, "upgrade_proto.cpp:1149")
