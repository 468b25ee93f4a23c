"""Embed against rows looked up one by one."""

import numpy as np
import pytest
from support.reference import close, one_layer_net, refusal, run

from caffe.errors import CaffeError


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 1, 4)])
def test_equals_rows_looked_up(bias, shape):
    rng = np.random.default_rng(1)
    index, w, b = rng.integers(0, 4, shape), rng.standard_normal((4, 3)), rng.standard_normal(3)
    y, dw = np.zeros((*shape, 3)), np.zeros(w.shape)
    dy = rng.standard_normal(y.shape)
    for place in np.ndindex(*shape):
        y[place] = w[index[place]] + (b if bias else 0)
        dw[index[place]] += dy[place]
    text = f"embed_param {{ input_dim: 4 num_output: 3 bias_term: {str(bias).lower()} }}"
    result = run(one_layer_net("Embed", text, [shape]), [index], [w, b] if bias else [w], [dy])
    close(result.tops[0], y, "top")
    close(result.weight_diffs[0], dw, "weights' diff")
    if bias:
        close(result.weight_diffs[1], dy.reshape(-1, 3).sum(0), "bias' diff")


def test_an_index_without_a_row_is_named():
    net = one_layer_net("Embed", "embed_param { input_dim: 4 num_output: 3 }", [(3,)])
    with pytest.raises(CaffeError, match=r"indices must lie in 0 .. 3, received 1 .. 4"):
        run(net, [[1, 2, 4]])


def test_refuses_what_caffe_refuses():
    assert "num_output must be positive" in refusal("Embed", "embed_param { input_dim: 4 }", [(3,)])
    assert "input_dim must be positive" in refusal("Embed", "embed_param { num_output: 4 }", [(3,)])


def test_the_index_has_no_derivative():
    layer = one_layer_net("Embed", "embed_param { input_dim: 4 num_output: 3 }", [(3,)]).layer_dict["l"]
    with pytest.raises(CaffeError, match="cannot backpropagate to its bottom 0"):
        layer.check_backward([True])
