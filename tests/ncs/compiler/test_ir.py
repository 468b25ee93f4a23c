"""IR of OpenVINO: reproducible files, half-precision weights, atomic writes."""

import os

import numpy as np
import onnxruntime
import openvino
import pytest
from support import caffe_nets, onnx_nets

from ncs.cli import main
from ncs.compiler.ir import version_of, write_ir
from ncs.errors import NcsError
from ncs.myriad.blob import read_blob
from ncs.myriad.compiler import compile_blob
from ncs.runtime.manifest import Manifest


def test_reproducible_files_and_equal_outputs(tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    for folder in ("one", "two"):
        write_ir(model, tmp_path / folder / "net.xml")
    for suffix in ("xml", "bin"):
        first, second = ((tmp_path / folder / ("net." + suffix)).read_bytes() for folder in ("one", "two"))
        assert first == second
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "one" / "net.xml", "CPU", config)
    expected = onnxruntime.InferenceSession(model).run(None, {"data": x})[0]
    np.testing.assert_allclose(compiled(x)[0], expected, atol=2e-3)
    assert "data" in compiled.input(0).get_names() and "prob" in compiled.output(0).get_names()


def test_fp16_halves_the_weights(tmp_path):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    write_ir(model, tmp_path / "half.xml")
    write_ir(model, tmp_path / "full.xml", fp16=False)
    half, full = (os.path.getsize(tmp_path / name) for name in ("half.bin", "full.bin"))
    assert 0.45 < half / full < 0.6


def test_unreadable_model(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(NcsError, match="bad.onnx: OpenVINO cannot read it"):
        write_ir(tmp_path / "bad.onnx", tmp_path / "bad.xml")
    with pytest.raises(NcsError, match="none.onnx: no such file"):
        write_ir(tmp_path / "none.onnx", tmp_path / "bad.xml")
    with pytest.raises(NcsError, match="must end in .xml"):
        write_ir(tmp_path / "bad.onnx", tmp_path / "bad.bin")
    assert os.listdir(tmp_path) == ["bad.onnx"]


TWO_HEADS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 12 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "age" type: "InnerProduct" bottom: "pool" top: "age"
  inner_product_param { num_output: 9 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "gender" type: "InnerProduct" bottom: "pool" top: "gender"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.1 } } }
"""


def test_ir_v10_is_written_next_to_v11(compiler, tmp_path, monkeypatch, capsys):
    """OpenVINO 2021.4, which drives the stick, compiles it; today's OpenVINO computes the same from both."""
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_HEADS)
    assert main(["compile", prototxt, "-w", weights, "-o", "net"]) == 0
    assert "wrote net_v10.{xml,bin} for OpenVINO 2020 to 2021.4" in capsys.readouterr().out
    assert (version_of("net.xml"), version_of("net_v10.xml")) == (11, 10)
    manifest = Manifest.read("net.json")
    assert {"xml", "bin", "xml_v10", "bin_v10"} <= set(manifest.artefacts) and manifest.verify() == []
    compile_blob("net_v10.xml", "again.blob")
    first, again = read_blob("net.blob"), read_blob("again.blob")
    assert again.counts() == first.counts() and {o.name for o in again.outputs} == {"age", "gender"}
    x = np.random.default_rng(0).standard_normal((1, 3, 12, 8), np.float32)
    core, config = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    results = []
    for name in ("net.xml", "net_v10.xml"):
        compiled = core.compile_model(name, "CPU", config)
        results.append([compiled(x)[name] for name in ("age", "gender")])
    for new, old in zip(*results):
        np.testing.assert_allclose(old, new, atol=1e-5)
    assert main(["compile", prototxt, "-w", weights, "-o", "other", "--no-ir"]) == 0
    assert not os.path.exists("other_v10.xml") and "xml_v10" not in Manifest.read("other.json").artefacts


def test_an_outdated_ir_v10_does_not_stay(tmp_path, monkeypatch, capsys):
    """If an operation has no older version, the file of an earlier compilation is removed."""
    from ncs.myriad import ir_downgrade

    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_HEADS)
    arguments = ["compile", prototxt, "-w", weights, "-o", "net", "--no-blob"]
    assert main(arguments) == 0 and os.path.isfile("net_v10.xml")

    def refuse(path, folder):
        raise NcsError("too new")

    monkeypatch.setattr(ir_downgrade, "downgrade", refuse)
    assert main(arguments) == 0
    assert "no IR v10 is written: too new" in capsys.readouterr().out
    assert not os.path.exists("net_v10.xml") and not os.path.exists("net_v10.bin")
    assert "xml_v10" not in Manifest.read("net.json").artefacts
