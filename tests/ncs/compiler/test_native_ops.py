"""An IR with native operations: the outputs of OpenVINO and of the simulated blob equal those of the Net."""

import numpy as np
import pytest

from caffe.convert.deploy import deploy
from caffe.convert.onnx_export import export_net
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from ncs.cli import main
from ncs.compiler import native_ops
from ncs.myriad.compiler import Job, compile_blobs
from ncs.myriad.ir_downgrade import downgrade
from ncs.simulator import Simulator


def layer(text):
    return "layer { " + text + " }\n"


def inputs(*shapes):
    parts = []
    for name, shape in shapes:
        dims = " ".join(f"dim: {size}" for size in shape)
        parts.append(layer(f'name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }}'))
    return "".join(parts)


def conv(name, bottom, outputs):
    return layer(
        f'name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{ '
        f'num_output: {outputs} kernel_size: 3 pad: 1 weight_filler {{ type: "gaussian" std: 0.2 }} }}'
    )


SSD = (
    inputs(("data", (1, 3, 16, 16)))
    + conv("loc", "data", 8)
    + conv("conf", "data", 6)
    + "".join(
        layer(
            f'name: "{n}_p" type: "Permute" bottom: "{n}" top: "{n}_p" '
            "permute_param { order: 0 order: 2 order: 3 order: 1 }"
        )
        + layer(f'name: "{n}_f" type: "Flatten" bottom: "{n}_p" top: "{n}_f"')
        for n in ("loc", "conf")
    )
    + layer(
        'name: "prior" type: "PriorBox" bottom: "loc" bottom: "data" top: "prior" prior_box_param { min_size: 3 '
        "aspect_ratio: 2 flip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }"
    )
    + layer(
        'name: "out" type: "DetectionOutput" bottom: "loc_f" bottom: "conf_f" bottom: "prior" top: "out" '
        "detection_output_param { num_classes: 3 keep_top_k: 20 confidence_threshold: 0.1 code_type: CENTER_SIZE "
        "nms_param { nms_threshold: 0.45 top_k: 40 } }"
    )
)
RCNN = (
    inputs(("data", (1, 3, 8, 9)), ("im_info", (1, 3)))
    + conv("cls", "data", 12)
    + conv("box", "data", 24)
    + layer(
        'name: "proposal" type: "Proposal" bottom: "cls" bottom: "box" bottom: "im_info" top: "rois" proposal_param { '
        "base_size: 8 feat_stride: 16 min_size: 4 ratio: 0.5 ratio: 1 scale: 1 scale: 2 scale: 4 post_nms_topn: 12 }"
    )
    + layer(
        'name: "pool" type: "ROIPooling" bottom: "data" bottom: "rois" top: "pool" '
        "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.0625 }"
    )
    + layer(
        'name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" '
        'inner_product_param { num_output: 4 weight_filler { type: "xavier" } }'
    )
    + conv("maps", "data", 18)
    + layer(
        'name: "ps" type: "PSROIPooling" bottom: "maps" bottom: "rois" top: "ps" '
        "psroi_pooling_param { spatial_scale: 0.0625 output_dim: 2 group_size: 3 }"
    )
)
INFO = 'top: "im_info" input_param { shape { dim: 1 dim: '
PVANET = RCNN.replace(INFO + "3", INFO + "6")  # a longer im_info
YOLO = inputs(("data", (1, 4, 6, 8))) + layer(
    'name: "re" type: "Reorg" bottom: "data" top: "re" reorg_param { stride: 2 }'
)


def build(text):
    net = Net.from_param(deploy(read_net_text(text, "net").param), caffe_pb2.TEST)
    rng = np.random.default_rng(4)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.shape) * 0.2
    for name in net.inputs:
        net.blobs[name].data[...] = rng.standard_normal(net.blobs[name].shape)
    if "im_info" in net.inputs:
        net.blobs["im_info"].data[0, :3] = [128, 144, 1]
    net.forward()
    return net


@pytest.mark.parametrize("text", [SSD, RCNN, PVANET, YOLO], ids=["SSD", "R-CNN", "PVANet", "YOLO"])
def test_outputs_of_openvino_equal_those_of_the_net(text, tmp_path):
    import openvino

    net = build(text)
    path = str(tmp_path / "net.xml")
    native_ops.write_ir(net, path, fp16=False)
    model = openvino.Core().read_model(path)
    kinds = {op.get_type_name() for op in model.get_ops()}
    assert not any("NonMaxSuppression" in kind or kind == "Identity" for kind in kinds)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled({name: net.blobs[name].data.copy() for name in net.inputs})
    received = {name: results[output] for output in compiled.outputs for name in output.names}
    assert set(net.outputs) <= set(received)
    for name in net.outputs:
        expected = net.blobs[name].data
        assert expected.any()
        assert np.abs(received[name][..., : expected.shape[-2], :] - expected).max() < 1e-4, name


@pytest.mark.parametrize("chip", ["MA2480", "MA2450"])
@pytest.mark.parametrize("text", [SSD, RCNN, PVANET, YOLO], ids=["SSD", "R-CNN", "PVANet", "YOLO"])
def test_outputs_of_the_blob_equal_those_of_the_net(compiler, text, chip, tmp_path):
    net = build(text)
    native_ops.write_ir(net, tmp_path / "net.xml")
    (tmp_path / "v10").mkdir()
    older = downgrade(str(tmp_path / "net.xml"), str(tmp_path / "v10"))
    compile_blobs([Job(older, str(tmp_path / "net.blob"), chip)])
    simulator = Simulator.from_file(tmp_path / "net.blob")
    results = simulator.run({port.name: net.blobs[port.name].data.copy() for port in simulator.program.inputs})
    assert set(results) == set(net.outputs) and simulator.findings() == []
    for name in net.outputs:
        expected = net.blobs[name].data
        np.testing.assert_allclose(results[name].reshape(expected.shape), expected, atol=2e-3 * np.abs(expected).max())


def test_compiling_without_an_ir_writes_the_same_blob(compiler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(YOLO)
    assert main(["compile", "net.prototxt", "-o", "with"]) == 0
    assert main(["compile", "net.prototxt", "-o", "without", "--no-ir"]) == 0
    assert (tmp_path / "with.blob").read_bytes() == (tmp_path / "without.blob").read_bytes()


def test_ordinary_layers_are_not_native():
    assert native_ops.native_layers(build(inputs(("data", (1, 3, 8, 8))) + conv("c", "data", 2))) == []


def test_detections_of_yolo_can_be_cut_off(compiler, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = layer(
        'name: "found" type: "YoloDetectionOutput" bottom: "head" top: "found" yolo_detection_output_param { '
        "num_classes: 3 num_box: 2 biases: [0.7, 0.9, 2.4, 2.6] }"
    )
    (tmp_path / "net.prototxt").write_text(inputs(("data", (1, 3, 6, 6))) + conv("head", "data", 16) + found)
    assert main(["compile", "net.prototxt", "-o", "whole", "--no-ir"]) != 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2].endswith(
        "layer 'found': the number of its rows depends on values, which this compiler does not support"
    )
    assert lines[-1] == "The layers before can be used alone: -on head"
    assert main(["compile", "net.prototxt", "-o", "part", "--no-ir", "-on", "head"]) == 0


def test_a_net_that_onnx_cannot_express_gets_an_ir_and_a_blob(compiler, tmp_path, capsys):
    text = SSD.replace("num_output: 8 ", "num_output: 24 ").replace("keep_top_k", "share_location: false keep_top_k")
    (tmp_path / "net.prototxt").write_text(text)
    assert main(["compile", str(tmp_path / "net.prototxt"), "-o", str(tmp_path / "net")]) == 0
    assert "no ONNX file is written" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"net.xml", "net.bin", "net.blob"}
    assert not (tmp_path / "net.onnx").exists()
    assert main(["compile", str(tmp_path / "net.prototxt"), "-o", str(tmp_path / "other"), "--no-ir"]) == 0
    assert (tmp_path / "other.blob").read_bytes() == (tmp_path / "net.blob").read_bytes()


def test_regions_of_varying_number_beside_a_native_operation_are_named(compiler, tmp_path, capsys):
    found = layer(
        'name: "found" type: "BoxOutput" bottom: "head" top: "found" box_output_param { field_w: 3 field_h: 3 '
        "downsample_rate: 1 max_post_nms_num: 4 }"
    )
    (tmp_path / "net.prototxt").write_text(YOLO + conv("head", "data", 7) + found)
    assert main(["compile", str(tmp_path / "net.prototxt"), "-o", str(tmp_path / "net")]) != 0
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "ncs compile: error: layer 'found' (BoxOutput): the number of its rows depends on values, which this compiler "
        "does not support; --no-blob writes ONNX and IR",
        "The layers before can be used alone: -on head",
    ]


def test_regions_in_one_row(tmp_path):
    """A Reshape of fewer regions than there may be: exported after a pass, the net takes any number."""
    import onnxruntime

    row = 'name: "row" type: "Reshape" bottom: "rois" top: "row" reshape_param { shape { dim: 1 dim: 1 dim: -1 } }'
    net = build(RCNN.replace("post_nms_topn: 12", "nms_thresh: 0.05 post_nms_topn: 400") + layer(row))
    count = net.blobs["row"].shape[2]
    assert 5 <= count < 2000
    export_net(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for factor in (1, -1):
        net.blobs["data"].data[...] *= factor
        net.forward()
        received = session.run(["row"], {name: net.blobs[name].data for name in net.inputs})[0]
        np.testing.assert_allclose(received, net.blobs["row"].data, atol=1e-3)
    native_ops.write_ir(net, tmp_path / "net.xml")
    assert list(openvino_shape(tmp_path / "net.xml", "row")) == [1, 1, 2000]


def openvino_shape(path, output):
    import openvino

    return openvino.Core().read_model(path).output(output).get_shape()
