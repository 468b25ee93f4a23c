"""MVN compared with its formula and with Caffe's gradient."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def rows_of(x, across):
    return x.reshape(x.shape[0] if across else x.shape[0] * x.shape[1], -1)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 3, 4), (2, 3, 4), (3, 5)])
def test_mean_only(shape, across):
    x = 2 + np.random.default_rng(1).standard_normal(shape)

    def reference(x):
        rows = rows_of(x, across)
        return [(rows - rows.mean(1, keepdims=True)).reshape((*shape, 1, 1)[:4])]

    text = f"mvn_param {{ normalize_variance: false across_channels: {str(across).lower()} }}"
    check_layer("MVN", text, [x], reference)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("eps", [1e-9, 0.01, 1.0])
def test_mean_and_variance_with_caffes_gradient(across, eps):
    rng = np.random.default_rng(2)
    x, dy = 2 + 3 * rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((2, 3, 3, 4))
    rows, slopes = rows_of(x, across), rows_of(dy, across)
    y, dx = np.zeros(rows.shape), np.zeros(rows.shape)
    for i, (row, d) in enumerate(zip(rows, slopes)):
        std = np.sqrt(((row - row.mean()) ** 2).mean()) + eps
        y[i] = (row - row.mean()) / std
        dx[i] = (d - d.mean() - y[i] * (d * y[i]).mean()) / std
    text = f"mvn_param {{ across_channels: {str(across).lower()} eps: {eps:g} }}"
    result = run(one_layer_net("MVN", text, [x.shape]), [x], [], [dy])
    assert_close(result.tops[0], y.reshape(x.shape), "top")
    assert_close(result.diffs[0], dx.reshape(x.shape), "bottom's diff")


def test_without_eps_caffes_gradient_is_exact():
    def reference(x):
        centered = x - x.mean((2, 3), keepdims=True)
        return [centered / np.sqrt((centered**2).mean((2, 3), keepdims=True))]

    check_layer("MVN", "", [np.random.default_rng(3).standard_normal((2, 2, 3, 2))], reference)


def test_more_than_4_axes_raise():
    assert "at most 4 axes" in build_error("MVN", "", [(1, 2, 3, 4, 5)])
