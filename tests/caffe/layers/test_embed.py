"""Embed compared with a loop over indices."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, one_layer_net, run

from caffe.errors import CaffeError


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 1, 4)])
def test_matches_the_reference(bias, shape):
    rng = np.random.default_rng(1)
    index, w, b = rng.integers(0, 4, shape), rng.standard_normal((4, 3)), rng.standard_normal(3)
    y, dw = np.zeros((*shape, 3)), np.zeros(w.shape)
    dy = rng.standard_normal(y.shape)
    for position in np.ndindex(*shape):
        y[position] = w[index[position]] + (b if bias else 0)
        dw[index[position]] += dy[position]
    text = f"embed_param {{ input_dim: 4 num_output: 3 bias_term: {str(bias).lower()} }}"
    result = run(one_layer_net("Embed", text, [shape]), [index], [w, b] if bias else [w], [dy])
    assert_close(result.tops[0], y, "top")
    assert_close(result.weight_diffs[0], dw, "weights' diff")
    if bias:
        assert_close(result.weight_diffs[1], dy.reshape(-1, 3).sum(0), "bias' diff")


def test_index_out_of_range_raises():
    net = one_layer_net("Embed", "embed_param { input_dim: 4 num_output: 3 }", [(3,)])
    with pytest.raises(CaffeError, match=r"indices must be in 0 .. 3, received 1 .. 4"):
        run(net, [[1, 2, 4]])


def test_invalid_parameters_raise():
    assert "num_output must be positive" in build_error("Embed", "embed_param { input_dim: 4 }", [(3,)])
    assert "input_dim must be positive" in build_error("Embed", "embed_param { num_output: 4 }", [(3,)])


def test_index_has_no_gradient():
    layer = one_layer_net("Embed", "embed_param { input_dim: 4 num_output: 3 }", [(3,)]).layer_dict["l"]
    with pytest.raises(CaffeError, match="cannot backpropagate to its bottom 0"):
        layer.check_backward([True])
