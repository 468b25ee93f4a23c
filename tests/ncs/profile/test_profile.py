"""`ncs profile`: operation counts of mvNCProfile, times on the CPU, the estimate, the SVG."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from support import caffe_nets, older_python

from caffe.convert.flops import work
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from ncs.cli import main
from ncs.profile import html, profile

SVG = "{http://www.w3.org/2000/svg}"
GOOGLENET_TOP = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "conv1/7x7_s2" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 64 pad: 3 kernel_size: 7 stride: 2 } }
layer { name: "pool1/3x3_s2" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
"""
BRANCHES = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "b" type: "Convolution" bottom: "data" top: "b" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
"""


def test_operation_counts_of_mvncprofile():
    """Values of Intel's published table: conv1/7x7_s2 236.028 MFLOPs, pool1/3x3_s2 1.806."""
    net = Net.from_param(read_net_text(GOOGLENET_TOP, "g").param, caffe_pb2.TEST)
    assert [f"{layer.operations / 1e6:.3f}" for layer in work(net)] == ["236.028", "1.806"]
    assert work(net)[0].weights == 64 * 3 * 49 + 64 and work(net)[0].bottoms == 3 * 224 * 224


def test_measured_on_the_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert main(["profile", prototxt, "-w", weights, "-d", "CPU", "-n", "2", "--json", "table.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Measured on CPU") and lines[1] == "Detailed Per Layer Profile"
    assert lines[2].split() == ["Layer", "Name", "MFLOPs", "Bandwidth", "MB/s", "time(ms)"]
    assert [line.split()[1] for line in lines[4:10]] == ["conv1", "relu1", "conv2", "relu2", "fc", "prob"]
    report = json.loads((tmp_path / "table.json").read_text())
    times = {row["name"]: row["milliseconds"] for row in report["layers"]}
    assert times["conv1"] > 0 and times["fc"] > 0 and times["prob"] > 0
    assert report["total_ms"] == pytest.approx(sum(value or 0 for value in times.values()))
    page = (tmp_path / "output_report.html").read_text()
    assert (
        "Measured on CPU" in page
        and "<script" not in page
        and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    )


def test_estimate(compiler, tmp_path, monkeypatch, capsys):
    """The time of conv1 is at least that of its operations; a chip of half the speed takes twice as long."""
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert main(["profile", prototxt, "-w", weights, "-d", "ESTIMATE", "--platform", "MA2450"]) == 0
    assert capsys.readouterr().out.startswith("ESTIMATE for MA2450, not a measurement: a lower bound")
    assert "ESTIMATE for MA2450" in (tmp_path / "output_report.html").read_text()
    net = caffe_nets.seeded(prototxt)
    from caffe.convert.onnx_export import export_net, layer_names

    export_net(net, "n.onnx")
    _, blob, stages = profile.compile_and_read("n.onnx", "MA2480", 4)
    names = layer_names("n.onnx", "tensor")
    slow = profile.estimate(net, blob, stages, profile.Chip(1e9, 1e6, 1e9), names)
    fast = profile.estimate(net, blob, stages, profile.Chip(2e9, 2e6, 2e9), names)
    assert profile.total(slow) == pytest.approx(2 * profile.total(fast))
    rows = {row.name: row for row in slow}
    assert rows["conv1"].milliseconds >= 2 * 4 * 27 * 36 / 1e9 * 1e3 and rows["relu1"].milliseconds is None
    assert {"conv1", "conv2", "fc", "prob"} <= {row.name for row in slow if row.milliseconds}


@pytest.mark.parametrize(
    "node, layer",
    [
        ("conv1/WithoutBiases", "conv1"),
        ("data_abcd_acdb_conv1/WithoutBiases", "conv1"),
        ("fc:Gemm", "fc"),
        ("conv2/WithoutBiases_acdb_abcd_fc:Gemm", "fc"),
        ("Parameter_7", None),
        ("conv1_x/y", "conv1_x"),
        ("conv1/fq", "conv1"),
    ],
)
def test_layer_of_a_runtime_node(node, layer):
    names = {"conv1": "conv1", "conv1_x": "conv1_x", "conv2": "conv2", "fc:Gemm": "fc"}
    assert profile.layer_of(node, names) == layer


def test_svg_of_the_net():
    net = Net.from_param(read_net_text(BRANCHES, "b").param, caffe_pb2.TEST)
    rows = [profile.Row(layer.name, layer.type, 1.0, 1.0, 0.5) for layer in work(net)]
    drawing = ElementTree.fromstring(html.svg(net, rows))
    boxes = [group.find(SVG + "title").text for group in drawing.iter(SVG + "g")]
    assert sorted(boxes) == ["a", "b", "data", "sum"] and len(list(drawing.iter(SVG + "path"))) == 4
    positions, edges = html.layout(net)
    assert set(edges) == {("data", "a"), ("data", "b"), ("a", "sum"), ("b", "sum")}
    assert positions["a"][1] == positions["b"][1] and positions["a"][0] != positions["b"][0]
    assert positions["data"][1] < positions["a"][1] < positions["sum"][1]


def test_devices_without_layer_times_are_rejected(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert main(["profile", prototxt, "-w", weights, "-d", "CAFFE"]) == 1
    assert "use ESTIMATE without a stick" in capsys.readouterr().err


def test_openvino_2021_reports_layer_times(tmp_path):
    """The stick's runner on the CPU plugin of OpenVINO 2021.4.2."""
    from support import onnx_nets

    packages = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]
    python = older_python.environment("openvino-2021.4.2-python3.8", ["3.8", "3.9"], packages)
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    output = older_python.run(
        python,
        """if 1:
        import json, sys, numpy as np
        from ncs.runtime.myriad import Myriad
        with Myriad(sys.argv[1], "CPU", counters=True) as runner:
            print(json.dumps(runner.profile(np.ones((1, 3, 8, 8), np.float32))))
        """,
        model,
    )
    times = {name: milliseconds for name, _, milliseconds in json.loads(output)}
    assert sum(times.values()) > 0 and any(name.startswith("conv") for name in times), times


COUNTED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 dim: 12 dim: 16 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 8 } }
"""
CONV_MACS, FC_MACS = 16 * 8 * 9 * 12 * 16, 8 * 16 * 12 * 16


@pytest.mark.parametrize("platform", ["MA2480", "MA2450"])
def test_counts_of_the_simulator(compiler, tmp_path, monkeypatch, capsys, platform):
    """Sizes that need no padding: the multiply-accumulates and bytes follow from the layers."""
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path, COUNTED)
    options = ["--platform", platform, "-ip", "FP16", "-op", "FP16", "--no-ir", "-o", "net"]
    assert main(["compile", prototxt, "-w", weights, *options]) == 0
    capsys.readouterr()
    assert main(["profile", "net.blob", "--json", "counts.json"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("simulated: counts of one inference")
    stages = json.loads((tmp_path / "counts.json").read_text())["stages"]
    macs = [stage["macs"] for stage in stages if stage["macs"]]
    assert sum(macs) == CONV_MACS + FC_MACS and out.splitlines()[-1].split()[1] == f"{sum(macs) / 1e6:.3f}"
    if platform == "MA2450":  # the bias is a stage of its own
        conv = next(stage for stage in stages if stage["macs"] == CONV_MACS)
        assert conv["bytes_read"] == 2 * (8 * 12 * 16 + 16 * 8 * 9) and conv["bytes_written"] == 2 * 16 * 12 * 16


def test_estimate_from_counts(compiler, tmp_path, monkeypatch):
    """The time of a layer that computes more than it moves is that of its counted operations."""
    monkeypatch.chdir(tmp_path)
    prototxt, _ = caffe_nets.tiny(tmp_path, COUNTED)
    net = caffe_nets.seeded(prototxt)
    from caffe.convert.onnx_export import export_net, layer_names

    export_net(net, "n.onnx")
    content, blob, stages = profile.compile_and_read("n.onnx", "MA2480", 4)
    counts, reason = profile.counts_of(content)
    assert reason == ""
    chip = profile.Chip(1e6, 1e6, 1e12)
    rows = {row.name: row for row in profile.estimate(net, blob, stages, chip, layer_names("n.onnx", "tensor"), counts)}
    assert rows["conv"].milliseconds == pytest.approx(2 * CONV_MACS / 1e6 * 1e3)


def test_profile_of_a_damaged_blob_is_one_line(tmp_path, capsys):
    (tmp_path / "net.blob").write_bytes(b"\x7felf" + bytes(40))
    assert main(["profile", str(tmp_path / "net.blob")]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
