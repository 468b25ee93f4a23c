"""ContinuationIndicator: the values of kendryte-caffe, and a net with an LSTM."""

import numpy as np
import pytest
from support.layer_nets import net_of
from support.reference import build_error, one_layer_net

import caffe
from caffe.convert.onnx_export import export_net


def test_the_values_of_kendryte_caffe():
    net = one_layer_net("ContinuationIndicator", "continuation_indicator_param { time_step: 3 batch_size: 2 }", [])
    np.testing.assert_array_equal(net.forward()["y0"], [[0, 0], [1, 1], [1, 1]])


def test_the_net_with_an_lstm_is_exported(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    net = net_of(
        """input: "x" input_shape { dim: 3 dim: 2 dim: 4 }
        layer { name: "c" type: "ContinuationIndicator" top: "c"
          continuation_indicator_param { time_step: 3 batch_size: 2 } }
        layer { name: "y" type: "LSTM" bottom: "x" bottom: "c" top: "y" recurrent_param { num_output: 3
          weight_filler { type: "gaussian" std: 0.5 } } }""",
        caffe.TEST,
    )
    net.blobs["x"].data[...] = np.random.default_rng(4).standard_normal((3, 2, 4))
    expected = net.forward()["y"].copy()
    export_net(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["y"], {"x": net.blobs["x"].data})[0], expected, atol=1e-6)


def test_sizes_are_required():
    text = "continuation_indicator_param { time_step: 3 }"
    assert "time_step and batch_size must be positive" in build_error("ContinuationIndicator", text, [])
