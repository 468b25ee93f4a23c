"""Layers that OpenVINO and the stick know as operations of their own, put into an IR in place of their many ONNX nodes.

The rest of the net goes through ONNX with these layers cut out: their tops are inputs there, their bottoms outputs. In
OpenVINO's model each of these inputs is then replaced by the operation. The stick's compiler has a stage for each; what
suppresses boxes has a number of rows in ONNX that is not known beforehand, which it cannot compile. OpenVINO's rows are as
many as there can be: DetectionOutput ends them with one that begins with -1, Proposal fills them up.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from caffe.convert import onnx_export
from ncs.compiler.ir import put, save, settle_names
from ncs.runtime.telemetry import import_openvino, telemetry_disabled


def present(net: Any) -> list[Any]:
    """The layers of `net` that become operations of their own."""
    return [node.layer for node in net._nodes if MAKERS.get(node.layer.type) and _fits(node.layer)]


def _fits(layer: Any) -> bool:
    if layer.type == "DetectionOutput":
        return layer.param.detection_output_param.nms_param.eta == 1
    if layer.type == "Reorg":
        return not layer.param.reorg_param.reverse
    return True


def write_ir(net: Any, xml_path: str, fp16: bool = True, change: Any = None) -> None:
    """Write `net` as an IR with operations of their own for the layers of `present`; `change` as in onnx.export_net."""
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        made = os.path.join(scratch, "model.xml")
        save(_model(net, scratch, change), made, fp16)
        put(made, os.path.splitext(os.fspath(xml_path))[0])


def _model(net: Any, scratch: str, change: Any) -> Any:
    openvino = import_openvino()
    export = onnx_export.build(net, native=tuple(MAKERS))
    natives, wanted = export.natives, [name for name, _ in export.outputs]
    export = _opened(export)
    export = change(export) if change else export
    path = os.path.join(scratch, "opened.onnx")
    with open(path, "wb") as stream:
        onnx_export.write(export, stream)
    with telemetry_disabled():
        model = openvino.convert_model(path)
    settle_names(model)
    return _closed(openvino, model, natives, wanted)


def _opened(export: Any) -> Any:
    """The Export with the natives' tops as inputs, and what they read as outputs."""
    tops = {top for native in export.natives for top in native.tops}
    given = tops | {name for name, _ in export.inputs}
    read = dict.fromkeys(name for native in export.natives for name in native.bottoms if name not in given)
    shapes = {name: shape for native in export.natives for name, shape in native.shapes.items()}
    export.inputs += [(top, shapes[top]) for native in export.natives for top in native.tops]
    kept = [pair for pair in export.outputs if pair[0] not in tops]
    export.outputs = kept + [(name, shapes[name]) for name in read if name not in dict(kept)]
    return export


def _closed(openvino: Any, model: Any, natives: list[Any], wanted: list[str]) -> Any:
    """The model with operations where the natives' tops were inputs, and with the outputs `wanted` alone."""
    parameters = {name: p for p in model.get_parameters() for name in p.output(0).get_names()}
    values = {name: p.output(0) for name, p in parameters.items()}
    for result in model.get_results():
        values.update(dict.fromkeys(result.output(0).get_names(), result.input_value(0)))
    for native in natives:
        node = MAKERS[native.layer.type](openvino, native.layer, [values[name] for name in native.bottoms])
        node.set_friendly_name(native.tops[0])
        for number, top in enumerate(native.tops):
            output = node.output(number)
            for target in list(values[top].get_target_inputs()):
                target.replace_source_output(output)
            output.get_tensor().set_names({top})
            values[top] = output
    made = {top for native in natives for top in native.tops}
    results = [openvino.opset1.result(values[name]) for name in wanted]
    inputs = [p for p in model.get_parameters() if not p.output(0).get_names() & made]
    return _without_identities(openvino.Model(results, inputs, model.get_friendly_name()))


def _without_identities(model: Any) -> Any:
    """The model without operations that copy, which natives' bottoms needed as names of their own; the compiler knows none."""
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
        "clip_after_nms": False, "clip_before_nms": False, "decrease_label_id": False, "normalized": True,
        "input_height": 1, "input_width": 1, "objectness_score": p.objectness_score,
    }  # fmt: skip
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
    attributes |= {"nms_thresh": np.float32(p.nms_thresh), "framework": ""}
    attributes |= {"box_size_scale": np.float32(1), "box_coordinate_scale": np.float32(1)}
    attributes |= {"clip_before_nms": True, "clip_after_nms": False, "normalize": False}
    attributes["ratio"] = np.array(list(p.ratio) or [0.5, 1, 2], np.float32)
    attributes["scale"] = np.array(list(p.scale) or [8, 16, 32], np.float32)
    opset = openvino.opset1 if len(layer.param.top) == 1 else openvino.opset4
    return opset.proposal(inputs[0], inputs[1], _flat(openvino, inputs[2], [-1]), attributes)


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


MAKERS: dict[str, Callable[[Any, Any, list[Any]], Any]] = {
    "DetectionOutput": _detection_output,
    "PSROIPooling": _psroi_pooling,
    "Proposal": _proposal,
    "ROIPooling": _roi_pooling,
    "Reorg": _reorg,
}
