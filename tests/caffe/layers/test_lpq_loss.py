"""LpqLoss compared with loops."""

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net, run

import caffe


def loss(a, b, p, q, pe=0.0, qe=0.01, prescale=False, entries=False):
    total, known = 0.0, 0
    for n, i, j in np.ndindex(len(a), *a.shape[2:]):
        inner = 0.0
        for c in range(a.shape[1]):
            d = a[n, c, i, j] - b[n, c, i, j]
            known += not np.isnan(d)
            inner += (0 if np.isnan(d) else abs(d)) ** p if not pe else ((0 if np.isnan(d) else abs(d)) + pe) ** p
        total += (inner / (a.shape[1] if prescale else 1) + qe) ** q
    return [np.array(total / (known / a.shape[1] if entries else len(a)))]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("p: 2 q: 0.5 l2_prescale_by_channels: true", {"p": 2, "q": 0.5, "prescale": True}),
        ("p: 1 q: 1 q_epsilon: 0 p_epsilon: 0.2", {"p": 1, "q": 1, "pe": 0.2, "qe": 0}),
        ("p: 1.5 q: 0.4 normalize_by_num_entries: true", {"p": 1.5, "q": 0.4, "entries": True}),
    ],
)
def test_matches_loops(text, settings):
    a, b = np.random.default_rng(2).standard_normal((2, 2, 2, 3, 2))
    check_layer("LpqLoss", f"lpq_loss_param {{ {text} }}", [a, b], lambda a, b: loss(a, b, **settings))


def test_one_bottom():
    a = np.random.default_rng(2).standard_normal((2, 2, 3, 2))
    check_layer("LpqLoss", "lpq_loss_param { p: 2 q: 0.5 }", [a], lambda a: loss(a, 0 * a, 2, 0.5))


@pytest.mark.parametrize("entries", [False, True])
def test_pixels_without_truth_have_no_difference(entries):
    a, b = np.random.default_rng(2).standard_normal((2, 2, 2, 3, 2))
    b[0, :, 1, 1] = np.nan
    text = f"lpq_loss_param {{ p: 2 q: 0.5 normalize_by_num_entries: {str(entries).lower()} }}"
    net = one_layer_net("LpqLoss", text, [a.shape, b.shape])
    result = run(net, [a, b], dtops=[np.array(1.0)])
    assert np.isclose(result.tops[0], loss(a, b, 2, 0.5, entries=entries)[0])
    assert not result.diffs[0][0, :, 1, 1].any() and np.isfinite(result.diffs[0]).all()


def test_episodes_of_p_and_q():
    a = np.random.default_rng(2).standard_normal((2, 2, 3, 2))
    text = "lpq_loss_param { pq_episode_starts_at_iter: [0, 2] p: [2, 1] q: [0.5, 1] }"
    net = one_layer_net("LpqLoss", text, [a.shape], phase=caffe.TRAIN)
    losses = [float(run(net, [a]).tops[0]) for _ in range(4)]
    first, second = (float(loss(a, 0 * a, *powers)[0]) for powers in ((2, 0.5), (1, 1)))
    np.testing.assert_allclose(losses, [first, first, second, second], rtol=1e-5)
    layer = one_layer_net("LpqLoss", text, [a.shape], phase=caffe.TRAIN).layer_dict["l"]
    layer.restore(net.layer_dict["l"].state())
    assert layer.iteration == 4


def test_errors():
    shapes = [(1, 2, 3, 3)]
    assert "as many values of p and q" in build_error("LpqLoss", "lpq_loss_param { p: 1 }", shapes)
    text = "lpq_loss_param { pq_episode_starts_at_iter: [0, 0] p: [2, 1] q: [0.5, 1] }"
    assert "must ascend from 0" in build_error("LpqLoss", text, shapes)
