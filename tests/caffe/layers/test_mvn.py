"""MVN against its formula, and against Caffe's own derivative."""

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run


def rows_of(x, across):
    return x.reshape(x.shape[0] if across else x.shape[0] * x.shape[1], -1)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 3, 4), (2, 3, 4), (3, 5)])
def test_mean_alone(shape, across):
    x = 2 + np.random.default_rng(1).standard_normal(shape)

    def reference(x):
        rows = rows_of(x, across)
        return [(rows - rows.mean(1, keepdims=True)).reshape((*shape, 1, 1)[:4])]

    text = f"mvn_param {{ normalize_variance: false across_channels: {str(across).lower()} }}"
    hold("MVN", text, [x], reference)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("eps", [1e-9, 0.01, 1.0])
def test_mean_and_variance_with_caffes_derivative(across, eps):
    rng = np.random.default_rng(2)
    x, dy = 2 + 3 * rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((2, 3, 3, 4))
    rows, slopes = rows_of(x, across), rows_of(dy, across)
    y, dx = np.zeros(rows.shape), np.zeros(rows.shape)
    for i, (row, d) in enumerate(zip(rows, slopes)):
        deviation = np.sqrt(((row - row.mean()) ** 2).mean()) + eps
        y[i] = (row - row.mean()) / deviation
        dx[i] = (d - d.mean() - y[i] * (d * y[i]).mean()) / deviation
    text = f"mvn_param {{ across_channels: {str(across).lower()} eps: {eps:g} }}"
    result = run(one_layer_net("MVN", text, [x.shape]), [x], [], [dy])
    close(result.tops[0], y.reshape(x.shape), "top")
    close(result.diffs[0], dx.reshape(x.shape), "bottom's diff")


def test_without_eps_caffes_derivative_is_the_true_one():
    def reference(x):
        centred = x - x.mean((2, 3), keepdims=True)
        return [centred / np.sqrt((centred**2).mean((2, 3), keepdims=True))]

    hold("MVN", "", [np.random.default_rng(3).standard_normal((2, 2, 3, 2))], reference)


def test_refuses_more_than_4_axes():
    assert "at most 4 axes" in refusal("MVN", "", [(1, 2, 3, 4, 5)])
