"""Nets of one OpenVINO operation each, for stage kinds that no Caffe layer compiles to."""

import numpy as np
import openvino
from openvino import opset1, opset2, opset3, opset4, opset6
from openvino.utils.node_factory import NodeFactory

RANDOM = np.random.RandomState(7)
REGIONS = np.array([[0, 1, 2, 9, 11], [0, 0, 0, 15, 15], [0, 5, 3, 12, 8], [0, 8, 8, 9, 9]], np.float32)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return RANDOM.uniform(0.1, 2, shape).astype(np.float32)


def constant(values, dtype=np.float32):
    return opset1.constant(np.array(values, dtype))


def axes(*numbers):
    return constant(numbers, np.int64)


def interpolate(mode, coordinates, nearest, size):
    """Return a builder of opset4's Interpolate of a 5x7 image."""

    def build(image):
        scales = constant([size[0] / 5, size[1] / 7])
        inputs = [node.output(0) for node in (image, axes(*size), scales, axes(2, 3))]
        attributes = {
            "mode": mode,
            "shape_calculation_mode": "sizes",
            "coordinate_transformation_mode": coordinates,
            "nearest_mode": nearest,
            "antialias": False,
            "pads_begin": [0, 0, 0, 0],
            "pads_end": [0, 0, 0, 0],
            "cube_coeff": -0.75,
        }
        return NodeFactory("opset4").create("Interpolate", inputs, attributes)

    return build


def detection_output(locations, confidences):
    """20 boxes of 3 classes; random prior boxes with the usual variances."""
    random = np.random.RandomState(8)
    centers, sizes = random.uniform(0.2, 0.8, (20, 2)), random.uniform(0.1, 0.4, (20, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], 1).reshape(-1)
    attributes = {
        "background_label_id": 0,
        "top_k": 15,
        "keep_top_k": [10],
        "variance_encoded_in_target": False,
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "nms_threshold": 0.45,
        "confidence_threshold": 0.3,
        "clip_after_nms": False,
        "clip_before_nms": False,
        "decrease_label_id": False,
        "normalized": True,
        "input_height": 1,
        "input_width": 1,
        "objectness_score": 0.0,
        "num_classes": 3,
    }
    priors = constant(np.stack([boxes, np.tile([0.1, 0.1, 0.2, 0.2], 20)])[None])
    return opset1.detection_output(locations, confidences, priors, attributes)


def proposal(scores, deltas):
    attributes = {
        "base_size": np.uint32(16),
        "pre_nms_topn": np.uint32(60),
        "post_nms_topn": np.uint32(12),
        "nms_thresh": np.float32(0.7),
        "feat_stride": np.uint32(16),
        "min_size": np.uint32(4),
        "ratio": np.array([0.5, 1, 2], np.float32),
        "scale": np.array([2, 4], np.float32),
        "clip_before_nms": True,
        "clip_after_nms": False,
        "normalize": False,
        "box_size_scale": np.float32(1),
        "box_coordinate_scale": np.float32(1),
        "framework": "",
    }
    return opset1.proposal(scores, deltas, constant([96.0, 112.0, 1.0]), attributes)


def lstm_cell(values, hidden, cell):
    weights = [constant(normal(12, 4)), constant(normal(12, 3)), constant(normal(12))]
    return opset4.lstm_cell(values, hidden, cell, *weights, 3).output(0)


IMAGE = (1, 4, 3, 5)
OPERATIONS = {
    "ROIPooling": (lambda x, r: opset2.roi_pooling(x, r, [3, 3], 0.5, "max"), normal(1, 4, 12, 14), REGIONS),
    "PSROIPooling": (
        lambda x, r: opset1.psroi_pooling(x, r, 3, 2, 0.5, 1, 1, "average"),
        normal(1, 12, 12, 14),
        REGIONS,
    ),
    "RegionYolo, softmax": (
        lambda x: opset1.region_yolo(x, 4, 5, 3, True, [0, 1, 2], 1, 3, [1.0] * 6),
        normal(1, 30, 5, 6),
    ),
    "RegionYolo, sigmoid": (
        lambda x: opset1.region_yolo(x, 4, 5, 6, False, [0, 1, 2], 1, 3, [1.0] * 12),
        normal(1, 30, 5, 6),
    ),
    "ReorgYolo": (lambda x: opset3.reorg_yolo(x, [2]), normal(1, 8, 6, 8)),
    "Normalize, channels": (lambda x: opset1.normalize_l2(x, axes(1), 1e-6, "add"), normal(*IMAGE)),
    "Normalize, all": (lambda x: opset1.normalize_l2(x, axes(1, 2, 3), 1e-6, "add"), normal(*IMAGE)),
    "MVN": (lambda x: opset6.mvn(x, axes(2, 3), True, 1e-5, "outside_sqrt"), normal(*IMAGE)),
    "GRN": (lambda x: opset1.grn(x, 0.5), normal(*IMAGE)),
    "Resample, larger": (interpolate("nearest", "asymmetric", "floor", (10, 15)), normal(1, 3, 5, 7)),
    "Resample, smaller": (interpolate("nearest", "half_pixel", "round_prefer_floor", (3, 4)), normal(1, 3, 5, 7)),
    "Interp, corners": (
        interpolate("linear_onnx", "align_corners", "round_prefer_floor", (10, 15)),
        normal(1, 3, 5, 7),
    ),
    "Interp, half pixel": (interpolate("linear_onnx", "half_pixel", "round_prefer_floor", (3, 15)), normal(1, 3, 5, 7)),
    "TopK": (lambda x: opset3.topk(x, constant(3, np.int32), 1, "max", "value").output(0), normal(1, 8, 3, 4)),
    "Gather": (lambda x: opset1.gather(x, constant([2, 0, 1], np.int32), constant(1, np.int32)), normal(*IMAGE)),
    "Tile": (lambda x: opset1.tile(x, axes(1, 2, 1, 3)), normal(*IMAGE)),
    "HSwish": (opset4.hswish, normal(*IMAGE)),
    "Mish": (opset4.mish, normal(*IMAGE)),
    "SoftPlus": (opset4.softplus, normal(*IMAGE)),
    "Gelu": (opset2.gelu, normal(*IMAGE)),
    "Erf": (opset1.erf, normal(*IMAGE)),
    "Ceiling": (lambda x: opset1.ceiling(opset1.multiply(x, constant(3.0))), normal(*IMAGE)),
    "Div": (opset1.divide, normal(*IMAGE), positive(*IMAGE)),
    "Min": (opset1.minimum, normal(*IMAGE), normal(*IMAGE)),
    "Pow": (opset1.power, positive(*IMAGE), normal(*IMAGE)),
    "Floor_mod": (opset1.floor_mod, normal(*IMAGE), positive(*IMAGE)),
    "Squared_diff": (opset1.squared_difference, normal(*IMAGE), normal(*IMAGE)),
    "Sum, repeated": (opset1.add, normal(*IMAGE), normal(1, 4, 1, 1)),
    "Select": (
        lambda x, y, z: opset1.select(opset1.greater(x, constant(0.0)), y, z),
        *[normal(*IMAGE) for _ in range(3)],
    ),
    "ReduceMax": (lambda x: opset1.reduce_max(x, axes(1), True), normal(*IMAGE)),
    "ReduceMin": (lambda x: opset1.reduce_min(x, axes(2, 3), False), normal(*IMAGE)),
    "StridedSlice": (
        lambda x: opset1.strided_slice(
            x, axes(0, 1, 0, 1), axes(1, 4, 3, 5), axes(1, 1, 1, 2), [0, 0, 1, 0], [0, 0, 1, 0]
        ),
        normal(*IMAGE),
    ),
    "LSTMCell": (lstm_cell, normal(1, 4), normal(1, 3), normal(1, 3)),
    "ReverseSequence": (lambda x: opset1.reverse_sequence(x, constant([3, 2]), 0, 1), normal(2, 5, 3)),
    "CTCDecoder": (lambda x: opset1.ctc_greedy_decoder(x, constant(np.ones((6, 1))), True), positive(6, 1, 5)),
    "GEMM": (lambda x, y: opset1.matmul(x, y, False, True), normal(1, 2, 4, 5), normal(1, 2, 3, 5)),
    "Pad, reflect": (lambda x: opset1.pad(x, axes(0, 0, 1, 2), axes(0, 0, 2, 1), "reflect"), normal(1, 4, 4, 5)),
    "Pad, symmetric": (lambda x: opset1.pad(x, axes(0, 0, 1, 2), axes(0, 0, 2, 1), "symmetric"), normal(1, 4, 4, 5)),
    "AvgPool, padding excluded": (
        lambda x: opset1.avg_pool(x, [1, 1], [2, 2], [2, 2], [5, 5], True, "floor", "explicit"),
        normal(1, 4, 8, 8),
    ),
    "DetectionOutput": (detection_output, normal(1, 80) * 0.5, RANDOM.uniform(0, 1, (1, 60)).astype(np.float32)),
    # scores that keep their order in FP16
    "Proposal": (
        proposal,
        RANDOM.permutation(504).reshape(1, 12, 6, 7).astype(np.float32) / 504,
        normal(1, 24, 6, 7) * 0.3,
    ),
}


def model(name):
    """Return (openvino.Model, inputs) of an operation; the inputs are named x0, x1 …"""
    build, *inputs = OPERATIONS[name]
    parameters = [opset1.parameter(list(array.shape), np.float32) for array in inputs]
    for number, parameter in enumerate(parameters):
        parameter.set_friendly_name(f"x{number}")
        parameter.output(0).get_tensor().set_names({f"x{number}"})
    node = build(*parameters)
    output = node if isinstance(node, openvino.Output) else node.output(0)
    return openvino.Model([output], parameters, "net"), inputs
