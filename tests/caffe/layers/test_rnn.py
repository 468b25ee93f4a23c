"""RNN compared with its equations, step by step."""

import numpy as np
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def rnn(x, cont, w_x, b_h, w_h, w_o, b_o, h, static=0):
    """Return (outputs, h) for the initial state h of N x D."""
    outputs = []
    for t in range(x.shape[0]):
        h = np.tanh((cont[t][:, None] * h) @ w_h.T + x[t].reshape(x.shape[1], -1) @ w_x.T + b_h + static)
        outputs.append(np.tanh(h @ w_o.T + b_o))
    return np.stack(outputs), h


def random_weights(seed, static=None):
    rng = np.random.default_rng(seed)
    shapes = [(3, 4), (3,)] + ([(3, static)] if static else []) + [(3, 3), (3, 3), (3,)]
    return rng, [rng.standard_normal(s) * 0.5 for s in shapes]


CONT = np.array([[0.0, 1], [1, 1], [1, 0]])
ZERO = np.zeros((2, 3))


def test_matches_the_equations():
    rng, weights = random_weights(1)
    check_layer(
        "RNN",
        "recurrent_param { num_output: 3 }",
        [rng.standard_normal((3, 2, 2, 2)), CONT],
        lambda x, cont, *w: [rnn(x, cont, *w, ZERO)[0]],
        weights,
        fixed=(1,),
    )


def test_static_input_is_added_at_every_step():
    rng, weights = random_weights(2, static=5)
    check_layer(
        "RNN",
        "recurrent_param { num_output: 3 }",
        [rng.standard_normal((3, 2, 4)), CONT, rng.standard_normal((2, 5))],
        lambda x, cont, s, w, b, ws, *rest: [rnn(x, cont, w, b, *rest, ZERO, s @ ws.T)[0]],
        weights,
        fixed=(1,),
    )


def test_exposed_state_has_no_gradient():
    rng, weights = random_weights(3)
    x, h0, cont = rng.standard_normal((3, 2, 4)), rng.standard_normal((1, 2, 3)), np.ones((3, 2))
    net = one_layer_net(
        "RNN",
        "recurrent_param { num_output: 3 expose_hidden: true }",
        [x.shape, cont.shape, h0.shape],
        tops=2,
    )
    result = run(net, [x, cont, h0], weights, [np.zeros((3, 2, 3)), np.ones((1, 2, 3))])
    outputs, h = rnn(x, cont, *weights, h0[0])
    assert_close(result.tops[0], outputs, "outputs")
    assert_close(result.tops[1], h[None], "h_T")
    assert not any(d.any() for d in result.diffs + result.weight_diffs)


def test_state_persists_between_forwards():
    rng, weights = random_weights(4)
    h = ZERO
    net = one_layer_net("RNN", "recurrent_param { num_output: 3 }", [(3, 2, 4), (3, 2)])
    for _ in range(3):
        x = rng.standard_normal((3, 2, 4))
        y, h = rnn(x, CONT, *weights, h)
        assert_close(run(net, [x, CONT], weights).tops[0], y, "outputs")


def test_invalid_parameters_raise():
    assert "num_output must be positive" in build_error("RNN", "", [(4, 2, 3), (4, 2)])
    text = "recurrent_param { num_output: 3 expose_hidden: true }"
    assert "takes 3 to 4 bottom" in build_error("RNN", text, [(4, 2, 3), (4, 2)], tops=2)
