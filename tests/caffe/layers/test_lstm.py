"""LSTM against its equations, step by step."""

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, cont, w_x, b, w_h, h, c, static=0):
    """(outputs, h, c) from initial states N x D."""
    size, outputs = w_h.shape[1], []
    for t in range(x.shape[0]):
        going = cont[t][:, None]
        gates = x[t].reshape(x.shape[1], -1) @ w_x.T + b + (going * h) @ w_h.T + static
        i, f, o, g = (gates[:, k * size : (k + 1) * size] for k in range(4))
        c = going * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def numbers(seed, inputs, size=3, static=None):
    rng = np.random.default_rng(seed)
    shapes = [(4 * size, inputs), (4 * size,)] + ([(4 * size, static)] if static else []) + [(4 * size, size)]
    return rng, [rng.standard_normal(s) * 0.5 for s in shapes]


CONT = np.array([[0.0, 1], [1, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2, 2, 1, 2)])
def test_equals_the_equations(shape):
    rng, weights = numbers(1, int(np.prod(shape[2:])))
    zero = np.zeros((2, 3))
    hold(
        "LSTM",
        "recurrent_param { num_output: 3 debug_info: true }",
        [rng.standard_normal(shape), CONT],
        lambda x, cont, w, b, r: [lstm(x, cont, w, b, r, zero, zero)[0]],
        weights,
        fixed=(1,),
    )


def test_a_static_input_is_added_at_every_step():
    rng, weights = numbers(2, 3, static=4)
    zero = np.zeros((2, 3))
    hold(
        "LSTM",
        "recurrent_param { num_output: 3 }",
        [rng.standard_normal((4, 2, 3)), CONT, rng.standard_normal((2, 2, 2))],
        lambda x, cont, s, w, b, ws, r: [lstm(x, cont, w, b, r, zero, zero, s.reshape(2, 4) @ ws.T)[0]],
        weights,
        fixed=(1,),
    )


def test_exposed_states_go_in_and_out_as_values_without_a_derivative():
    rng, weights = numbers(3, 3)
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
    close(result.tops[0], expected[0], "outputs")
    close(result.tops[1], expected[1][None], "h_T")
    close(result.tops[2], expected[2][None], "c_T")
    assert not any(d.any() for d in result.diffs + result.weight_diffs)


def test_the_states_live_on_from_one_forward_to_the_next():
    rng, weights = numbers(4, 3)
    x, h, c = rng.standard_normal((6, 2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
    net = one_layer_net("LSTM", "recurrent_param { num_output: 3 }", [(2, 2, 3), (2, 2)])
    for part in np.split(x, 3):
        y, h, c = lstm(part, np.ones((2, 2)), *weights, h, c)
        close(run(net, [part, np.ones((2, 2))], weights).tops[0], y, "outputs")


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
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
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("LSTM", f"recurrent_param {{ {text} }}", shapes)


def test_refuses_states_of_another_shape():
    shapes = [(4, 2, 3), (4, 2), (1, 2, 3), (1, 2, 4)]
    assert "bottom 3, a state, must be (1, 2, 3)" in refusal(
        "LSTM", "recurrent_param { num_output: 3 expose_hidden: true }", shapes, tops=3
    )


def test_the_lstm_of_ctpn_is_the_same_cell_without_cont():
    rng = np.random.default_rng(8)
    weights = [rng.standard_normal(shape) * 0.5 for shape in ((12, 4), (12, 3), (12,))]
    zero, going = np.zeros((2, 3)), np.ones((4, 2))
    hold(
        "Lstm",
        "lstm_param { num_output: 3 }",
        [rng.standard_normal((4, 2, 2, 2))],
        lambda x, w, r, b: [lstm(x, going, w, b, r, zero, zero)[0]],
        weights,
    )
