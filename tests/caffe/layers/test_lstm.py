"""LSTM compared with its equations, step by step."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, cont, w_x, b, w_h, h, c, static=0):
    """Return (outputs, h, c) for initial states h and c of N x D."""
    size, outputs = w_h.shape[1], []
    for t in range(x.shape[0]):
        continues = cont[t][:, None]
        gates = x[t].reshape(x.shape[1], -1) @ w_x.T + b + (continues * h) @ w_h.T + static
        i, f, o, g = (gates[:, k * size : (k + 1) * size] for k in range(4))
        c = continues * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def random_weights(seed, inputs, size=3, static=None):
    rng = np.random.default_rng(seed)
    shapes = [(4 * size, inputs), (4 * size,)] + ([(4 * size, static)] if static else []) + [(4 * size, size)]
    return rng, [rng.standard_normal(s) * 0.5 for s in shapes]


CONT = np.array([[0.0, 1], [1, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2, 2, 1, 2)])
def test_matches_the_equations(shape):
    rng, weights = random_weights(1, int(np.prod(shape[2:])))
    zero = np.zeros((2, 3))
    check_layer(
        "LSTM",
        "recurrent_param { num_output: 3 debug_info: true }",
        [rng.standard_normal(shape), CONT],
        lambda x, cont, w, b, r: [lstm(x, cont, w, b, r, zero, zero)[0]],
        weights,
        fixed=(1,),
    )


def test_static_input_is_added_at_every_step():
    rng, weights = random_weights(2, 3, static=4)
    zero = np.zeros((2, 3))
    check_layer(
        "LSTM",
        "recurrent_param { num_output: 3 }",
        [rng.standard_normal((4, 2, 3)), CONT, rng.standard_normal((2, 2, 2))],
        lambda x, cont, s, w, b, ws, r: [lstm(x, cont, w, b, r, zero, zero, s.reshape(2, 4) @ ws.T)[0]],
        weights,
        fixed=(1,),
    )


def test_exposed_states_have_no_gradient():
    rng, weights = random_weights(3, 3)
    x, h0, c0 = rng.standard_normal((4, 2, 3)), rng.standard_normal((1, 2, 3)), rng.standard_normal((1, 2, 3))
    net = one_layer_net(
        "LSTM",
        "recurrent_param { num_output: 3 expose_hidden: true }",
        [x.shape, CONT.shape, h0.shape, c0.shape],
        tops=3,
    )
    cont = np.ones((4, 2))
    expected = lstm(x, cont, *weights, h0[0], c0[0])
    dtops = [np.zeros((4, 2, 3)), np.ones((1, 2, 3)), np.ones((1, 2, 3))]
    result = run(net, [x, cont, h0, c0], weights, dtops)
    assert_close(result.tops[0], expected[0], "outputs")
    assert_close(result.tops[1], expected[1][None], "h_T")
    assert_close(result.tops[2], expected[2][None], "c_T")
    assert not any(d.any() for d in result.diffs + result.weight_diffs)


def test_states_persist_between_forwards():
    rng, weights = random_weights(4, 3)
    x, h, c = rng.standard_normal((6, 2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
    net = one_layer_net("LSTM", "recurrent_param { num_output: 3 }", [(2, 2, 3), (2, 2)])
    for part in np.split(x, 3):
        y, h, c = lstm(part, np.ones((2, 2)), *weights, h, c)
        assert_close(run(net, [part, np.ones((2, 2))], weights).tops[0], y, "outputs")


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("", [(4, 2, 3), (4, 2)], "num_output must be positive"),
        ("num_output: 3", [(4, 2), (4, 2)], "time steps x streams x inputs"),
        ("num_output: 3", [(4, 2, 3), (2, 4)], "bottom 1 must be time steps x streams (4, 2)"),
        (
            "num_output: 3",
            [(4, 2, 3), (4, 2), (3, 5)],
            "bottom 2, the static input, must be streams (2) x inputs",
        ),
        ("num_output: 3", [(4, 2, 3), (4, 2), (2, 5), (1, 2, 3)], "takes 2 to 3 bottom"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("LSTM", f"recurrent_param {{ {text} }}", shapes)


def test_states_of_wrong_shape_raise():
    shapes = [(4, 2, 3), (4, 2), (1, 2, 3), (1, 2, 4)]
    assert "bottom 3, a state, must be (1, 2, 3)" in build_error(
        "LSTM", "recurrent_param { num_output: 3 expose_hidden: true }", shapes, tops=3
    )


def test_the_lstm_of_ctpn_is_the_same_cell_without_cont():
    rng = np.random.default_rng(8)
    weights = [rng.standard_normal(shape) * 0.5 for shape in ((12, 4), (12, 3), (12,))]
    zero, cont = np.zeros((2, 3)), np.ones((4, 2))
    check_layer(
        "Lstm",
        "lstm_param { num_output: 3 }",
        [rng.standard_normal((4, 2, 2, 2))],
        lambda x, w, r, b: [lstm(x, cont, w, b, r, zero, zero)[0]],
        weights,
    )


def clipped_lstm(x, clip, count, w, r, b, h, c):
    """caffe-lstm's layer in loops: rows of T steps for `count` sequences; returns h, and the last states."""
    y = np.zeros((len(x), r.shape[1]))
    for row, item in enumerate(x):
        n, cont = row % count, clip[row] != 0
        gates = w @ item.ravel() + b + (r @ h[n] if cont else 0)
        i, f, o = (1 / (1 + np.exp(-part)) for part in np.split(gates, 4)[:3])
        c[n] = (f * c[n] if cont else 0) + i * np.tanh(np.split(gates, 4)[3])
        h[n] = y[row] = o * np.tanh(c[n])
    return y, h, c


CLIP = np.array([0, 1, 1, 1, 0, 1, 1, 0])


@pytest.mark.parametrize("shape", [(8, 4), (8, 2, 2, 1)])
def test_the_lstm_of_caffe_lstm(shape):
    rng = np.random.default_rng(8)
    weights = [rng.standard_normal(size) * 0.5 for size in ((12, 4), (12, 3), (12,))]
    check_layer(
        "Lstm",
        "lstm_param { num_output: 3 batch_size: 2 }",
        [rng.standard_normal(shape), CLIP],
        lambda x, clip, w, r, b: [clipped_lstm(x, clip, 2, w, r, b, *np.zeros((2, 2, 3)))[0]],
        weights,
        fixed=(1,),
    )


def test_with_clip_the_states_persist():
    rng = np.random.default_rng(8)
    weights = [rng.standard_normal(size) * 0.5 for size in ((12, 4), (12, 3), (12,))]
    x = rng.standard_normal((16, 4))
    net = one_layer_net("Lstm", "lstm_param { num_output: 3 batch_size: 2 }", [(8, 4), (8,)])
    states = list(np.zeros((2, 2, 3)))
    for part in (x[:8], x[8:]):
        y, *states = clipped_lstm(part, np.ones(8), 2, *weights, *states)
        assert_close(run(net, [part, np.ones(8)], weights).tops[0], y, "outputs")


def test_clipping_threshold_limits_the_gradients_of_the_gates():
    rng = np.random.default_rng(8)
    x, weights = rng.standard_normal((1, 4)), [rng.standard_normal(size) for size in ((12, 4), (12, 3), (12,))]
    exact, clipped = (
        run(one_layer_net("Lstm", f"lstm_param {{ num_output: 3 {field} }}", [(1, 4)]), [x], weights, [np.ones((1, 3))])
        for field in ("", "clipping_threshold: 0.05")
    )
    gates = exact.weight_diffs[2]  # the bias' gradient is that of the gates' inputs
    assert np.abs(gates).max() > 0.05 > np.abs(gates).min()
    limited = np.clip(gates, -0.05, 0.05)
    assert_close(clipped.weight_diffs[2], limited, "gradient of the bias")
    assert_close(clipped.weight_diffs[0], np.outer(limited, x[0]), "gradient of the weights")


def test_errors_of_the_lstm_of_caffe_lstm():
    text = "lstm_param { num_output: 3 batch_size: 3 }"
    assert "a multiple of batch_size 3" in build_error("Lstm", text, [(8, 4), (8,)])
    assert "one number for each of the 9 items" in build_error("Lstm", text, [(9, 4), (3, 3)])
