"""IR of OpenVINO: reproducible files, half-precision weights, atomic writes."""

import os

import numpy as np
import onnxruntime
import openvino
import pytest
from support import onnx_nets

from ncs.compiler.ir import write_ir
from ncs.errors import NcsError


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
