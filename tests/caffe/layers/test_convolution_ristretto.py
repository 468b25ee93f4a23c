"""ConvolutionRistretto compared with Convolution on rounded arrays."""

import numpy as np
import pytest
from support import ristretto
from support.reference import assert_close, one_layer_net, run

from caffe.convert.onnx_export import export_net

TEXT = "convolution_param { num_output: 3 kernel_size: 3 pad: 1 } "


def test_matches_the_plain_layer_on_rounded_arrays():
    rng = np.random.default_rng(4)
    x, weight, bias = (
        rng.standard_normal((2, 2, 4, 5)) * 2,
        rng.standard_normal((3, 2, 3, 3)) * 0.5,
        rng.standard_normal(3),
    )
    ristretto.check("ConvolutionRistretto", "Convolution", TEXT, x, [weight, bias])


def test_other_roundings_are_errors():
    ristretto.check_refused("ConvolutionRistretto", TEXT, (2, 2, 4, 5))


def limited(array, limits, bits):
    """Round to multiples of limit / (2^(bits - 1) - 1) within the limit of each output; halves away from 0."""
    out = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        limit = limits[place[0] % len(limits)]
        step = limit / (2 ** (bits - 1) - 1)
        scaled = min(max(array[place], -limit), limit) / step
        out[place] = np.copysign(np.floor(abs(scaled) + 0.5), scaled) * step
    return out


def test_thresholds_of_ml_suite(tmp_path):
    rng = np.random.default_rng(4)
    x, weight, bias = rng.standard_normal((2, 2, 4, 5)) * 2, rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3)
    fields = "bw_layer_in: 5 th_layer_in: 2.5 bw_params: 4 th_params: 0.9 th_params: 1.5 th_params: 2"
    text = TEXT + f"quantization_param {{ {fields} bw_layer_out: 6 th_layer_out: 7 }}"
    rounded = [limited(weight, [0.9, 1.5, 2], 4), limited(bias, [7], 4)]
    plain = run(one_layer_net("Convolution", TEXT, [x.shape]), [limited(x, [2.5], 5)], rounded).tops[0]
    net = one_layer_net("ConvolutionRistretto", text, [x.shape], force=False)
    received = run(net, [x], [weight, bias]).tops[0]
    assert_close(received, limited(plain, [7], 6), "top")
    onnxruntime = pytest.importorskip("onnxruntime")
    export_net(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert_close(session.run(None, {"x0": x.astype(np.float32)})[0], received, "ONNX")
