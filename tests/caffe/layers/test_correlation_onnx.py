"""Correlation and Correlation1D in ONNX Runtime compared with the layers, whose tests compare them with loops."""

import numpy as np
import pytest
from support.reference import assert_close, one_layer_net, run

from caffe.convert.onnx_export import export_net

CASES = [
    ("Correlation", "pad: 2 kernel_size: 1 max_displacement: 2 stride_1: 1 stride_2: 1", (1, 3, 5, 6)),
    ("Correlation", "pad: 2 kernel_size: 3 max_displacement: 2 stride_1: 2 stride_2: 2", (2, 2, 7, 8)),
    ("Correlation", "pad: 1 kernel_size: 1 max_displacement: 1 correlation_type: SUBTRACT", (1, 2, 4, 4)),
    ("Correlation1D", "pad: 2 kernel_size: 1 max_displacement: 2 single_direction: -1", (1, 3, 4, 6)),
]


@pytest.mark.parametrize(("layer_type", "text", "shape"), CASES)
def test_the_exported_model_gives_the_same_numbers(layer_type, text, shape, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    net = one_layer_net(layer_type, f"correlation_param {{ {text} }}", [shape, shape], force=False)
    a, b = np.random.default_rng(1).standard_normal((2, *shape)).astype(np.float32)
    expected = run(net, [a, b]).tops[0]
    export_net(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert_close(session.run(None, {"x0": a, "x1": b})[0], expected, "top")
