"""InnerProduct with caffe-windows' normalize and bottoms for weights and bias, compared with NumPy."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

import caffe
from caffe.convert.onnx_export import export_net

RNG = np.random.default_rng(4)
X, W, B = RNG.standard_normal((3, 2, 2)), RNG.standard_normal((5, 4)), RNG.standard_normal(5)
UNIT = W / np.sqrt((W**2).sum(1, keepdims=True) + 1e-6)


def test_weights_and_bias_of_bottoms():
    check_layer("InnerProduct", "", [X, W, B], lambda x, w, b: [x.reshape(3, 4) @ w.T + b])


def test_weights_of_a_bottom_with_the_layers_bias():
    check_layer("InnerProduct", "", [X, W], lambda x, w, b: [x.reshape(3, 4) @ w.T + b], [B])


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_normalize(phase):
    text = "inner_product_param { num_output: 5 normalize: true bias_term: false }"
    net = one_layer_net("InnerProduct", text, [X.shape], phase=phase)
    dtop = RNG.standard_normal((3, 5))
    result = run(net, [X], [W], [dtop])
    assert_close(result.tops[0], X.reshape(3, 4) @ UNIT.T, "top")
    assert_close(result.diffs[0], (dtop @ UNIT).reshape(X.shape), "gradient of the bottom")
    assert_close(result.weight_diffs[0], dtop.T @ X.reshape(3, 4), "gradient of the weights")
    assert_close(result.weights[0], UNIT if phase == caffe.TRAIN else W, "weights after the pass")


def test_errors():
    assert "must be outputs x 4" in build_error("InnerProduct", "", [(3, 2, 2), (5, 3)])
    text = "inner_product_param { num_output: 5 normalize: true transpose: true }"
    assert "transpose is not implemented" in build_error("InnerProduct", text, [(3, 4)])


@pytest.mark.parametrize("case", ["bottoms", "normalize", "distance"])
def test_onnx(case, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    text = "inner_product_param { num_output: 5 normalize: true bias_term: false }"
    bottoms, weights = ([X], [W]) if case == "normalize" else ([X, W, B][: 2 if case == "distance" else 3], [])
    net = one_layer_net(
        "InnerDistance" if case == "distance" else "InnerProduct",
        text if weights else "",
        [b.shape for b in bottoms],
        force=False,
    )
    expected = run(net, bottoms, weights).tops[0]
    export_net(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    feeds = {f"x{i}": b.astype(np.float32) for i, b in enumerate(bottoms)}
    assert_close(session.run(None, feeds)[0], expected, "top")
