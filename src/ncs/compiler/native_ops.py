"""Write an IR with native operations for layers that OpenVINO and the stick have as one operation.

In ONNX these layers are many nodes, and those that suppress boxes have a dynamic number of rows, which the stick's
compiler rejects. So the rest of the net is converted through ONNX, with the layers' tops as inputs and their bottoms
as outputs; then each of these inputs is replaced by the operation. The number of rows is the maximum: DetectionOutput
marks the end with a row that begins with -1, Proposal fills the rows up.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from caffe.convert import onnx_export
from caffe.utils.telemetry import import_openvino, telemetry_disabled
from ncs.compiler.ir import copy_ir, normalize_names, save


def native_layers(net: Any) -> list[Any]:
    """Return the layers of `net` that become native operations."""
    return [node.layer for node in net.nodes if OPERATIONS.get(node.layer.type) and _is_supported(node.layer)]


def _is_supported(layer: Any) -> bool:
    if layer.type == "DetectionOutput":
        p = layer.param.detection_output_param
        return p.nms_param.eta == 1 and not len(p.biases)
    if layer.type == "Reorg":
        return not layer.param.reorg_param.reverse
    return True


def write_ir(net: Any, xml_path: str, fp16: bool = True, change: Any = None, stick: bool = False) -> None:
    """Write `net` as an IR with native operations; `change` and `stick` as in caffe.convert.onnx_export.export_net."""
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        temporary = os.path.join(scratch, "model.xml")
        save(_model(net, scratch, change, stick), temporary, fp16)
        copy_ir(temporary, os.path.splitext(os.fspath(xml_path))[0])


def _model(net: Any, scratch: str, change: Any, stick: bool) -> Any:
    openvino = import_openvino()
    export = onnx_export.build(net, native_types=tuple(OPERATIONS), stick=stick)
    natives, outputs = export.native_layers, [name for name, _ in export.outputs]
    export = _with_boundary(export)
    export = change(export) if change else export
    path = os.path.join(scratch, "rest.onnx")
    with open(path, "wb") as stream:
        onnx_export.write(export, stream)
    with telemetry_disabled():
        model = openvino.convert_model(path)
    normalize_names(model)
    return _with_operations(openvino, model, natives, outputs)


SINK = "/sink_port_0"  # as OpenVINO's readers name the end of an output


def _with_boundary(export: Any) -> Any:
    """Return the Export with the native layers' tops as inputs, and their bottoms as outputs."""
    tops = {top for native in export.native_layers for top in native.tops}
    inputs = tops | {name for name, _ in export.inputs}
    bottoms = dict.fromkeys(name for native in export.native_layers for name in native.bottoms if name not in inputs)
    shapes = {name: shape for native in export.native_layers for name, shape in native.shapes.items()}
    export.inputs += [(top, shapes[top]) for native in export.native_layers for top in native.tops]
    kept = [pair for pair in export.outputs if pair[0] not in tops]
    export.outputs = kept + [(name, shapes[name]) for name in bottoms if name not in dict(kept)]
    return export


def _with_operations(openvino: Any, model: Any, natives: list[Any], outputs: list[str]) -> Any:
    """Replace the inputs that are native layers' tops by operations; keep only the outputs `outputs`."""
    parameters = {name: p for p in model.get_parameters() for name in p.output(0).get_names()}
    values = {name: p.output(0) for name, p in parameters.items()}
    for result in model.get_results():
        values.update(dict.fromkeys(result.output(0).get_names(), result.input_value(0)))
    for native in natives:
        node = OPERATIONS[native.layer.type](openvino, native.layer, [values[name] for name in native.bottoms])
        node.set_friendly_name(native.tops[0])
        for number, top in enumerate(native.tops):
            output = node.output(number)
            for target in list(values[top].get_target_inputs()):
                target.replace_source_output(output)
            output.get_tensor().set_names({top})
            values[top] = output
    tops = {top for native in natives for top in native.tops}
    results = [openvino.opset1.result(values[name]) for name in outputs]
    for name, result in zip(outputs, results):
        result.set_friendly_name(name + SINK)
    inputs = [p for p in model.get_parameters() if not p.output(0).get_names() & tops]
    return _without_identities(openvino.Model(results, inputs, model.get_friendly_name()))


def _without_identities(model: Any) -> Any:
    """Remove Identity nodes, which give native layers' bottoms their names; the stick's compiler does not have them."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Identity":
            source, copy = node.input_value(0), node.output(0)
            for target in list(copy.get_target_inputs()):
                target.replace_source_output(source)
            source.get_tensor().add_names(copy.get_names())
    return model


def _detection_output(openvino: Any, layer: Any, inputs: list[Any]) -> Any:
    p = layer.param.detection_output_param
    code = p.DESCRIPTOR.fields_by_name["code_type"].enum_type.values_by_number[p.code_type].name
    attributes = {
        "num_classes": p.num_classes, "background_label_id": p.background_label_id, "top_k": layer.top_k,
        "variance_encoded_in_target": p.variance_encoded_in_target, "keep_top_k": [p.keep_top_k],
        "code_type": "caffe.PriorBoxParameter." + code, "share_location": p.share_location,
        "nms_threshold": p.nms_param.nms_threshold, "confidence_threshold": max(layer.least, -3e38),
        "clip_after_nms": False, "clip_before_nms": False, "decrease_label_id": False, "normalized": p.normalized,
        "input_height": max(p.input_height, 1), "input_width": max(p.input_width, 1),
        "objectness_score": p.objectness_score,
    }  # fmt: skip
    if not p.normalized:
        inputs = [*inputs[:2], _flat(openvino, inputs[2], [1, 1, -1])]
    arm = inputs[3:] if len(inputs) == 5 else []
    return openvino.opset1.detection_output(*inputs[:3], attributes, *arm)


def _psroi_pooling(openvino: Any, layer: Any, inputs: list[Any]) -> Any:
    p = layer.param.psroi_pooling_param
    rois = _flat(openvino, inputs[1], [-1, 5])
    return openvino.opset1.psroi_pooling(inputs[0], rois, p.output_dim, p.group_size, p.spatial_scale, 1, 1, "average")


def _proposal(openvino: Any, layer: Any, inputs: list[Any]) -> Any:
    p = layer.param.proposal_param
    names = ("base_size", "pre_nms_topn", "post_nms_topn", "feat_stride", "min_size")
    attributes = {name: np.uint32(getattr(p, name)) for name in names}
    count = inputs[0].get_shape()[1] // 2 * int(np.prod(list(inputs[0].get_shape())[2:]))
    attributes["post_nms_topn"] = np.uint32(min(p.post_nms_topn, count))  # as many rows as the Net's top has
    attributes |= {"nms_thresh": np.float32(p.nms_thresh), "framework": ""}
    attributes |= {"box_size_scale": np.float32(1), "box_coordinate_scale": np.float32(1)}
    attributes |= {"clip_before_nms": True, "clip_after_nms": False, "normalize": False}
    attributes["ratio"] = np.array(list(p.ratio) or [0.5, 1, 2], np.float32)
    attributes["scale"] = np.array(list(p.scale) or [8, 16, 32], np.float32)
    opset = openvino.opset1 if len(layer.param.top) == 1 else openvino.opset4
    return opset.proposal(inputs[0], inputs[1], _sizes(openvino, inputs[2]), attributes)


def _sizes(openvino: Any, info: Any) -> Any:
    """Return height, width and scale: the first three numbers of im_info, which can have more."""
    count = int(np.prod(list(info.get_shape())))
    if count == 3:
        return _flat(openvino, info, [-1])
    flat, ends, step = openvino.opset1.reshape(info, np.array([count]), False), np.array([3]), np.array([1])
    return openvino.opset1.strided_slice(flat, np.array([0]), ends, step, [0], [0]).output(0)


def _roi_pooling(openvino: Any, layer: Any, inputs: list[Any]) -> Any:
    rois = _flat(openvino, inputs[1], [-1, 5])
    scale = layer.param.roi_pooling_param.spatial_scale
    return openvino.opset2.roi_pooling(inputs[0], rois, list(layer.pooled), scale, "max")


def _reorg(openvino: Any, layer: Any, inputs: list[Any]) -> Any:
    return openvino.opset2.reorg_yolo(inputs[0], [layer.param.reorg_param.stride])


def _flat(openvino: Any, value: Any, shape: list[int]) -> Any:
    if len(value.get_partial_shape()) == len(shape):
        return value
    return openvino.opset1.reshape(value, np.array(shape, np.int64), False).output(0)


OPERATIONS: dict[str, Callable[[Any, Any, list[Any]], Any]] = {
    "DetectionOutput": _detection_output,
    "PSROIPooling": _psroi_pooling,
    "Proposal": _proposal,
    "ROIPooling": _roi_pooling,
    "Reorg": _reorg,
}
