"""Normalize, of SSD and of caffe-face, compared with loops."""

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net, run

X = np.random.default_rng(7).standard_normal((2, 3, 2, 2))


def by_place(x, scale, eps):
    y = np.zeros(x.shape)
    for n, i, j in np.ndindex(x.shape[0], *x.shape[2:]):
        norm = np.sqrt(sum(x[n, c, i, j] ** 2 for c in range(x.shape[1])) + eps)
        for c in range(x.shape[1]):
            y[n, c, i, j] = x[n, c, i, j] / norm * (1 if scale is None else scale[c % len(scale)])
    return [y]


def test_ssd_per_position_with_a_scale_per_channel():
    text = "norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } }"
    check_layer("Normalize", text, [X], lambda x, s: by_place(x, s, 1e-10), [np.array([20.0, 10, 5])])


def test_ssd_over_the_whole_item():
    def over_all(x, scale):
        return [np.stack([item / np.sqrt((item**2).sum() + 1e-10) * scale[0] for item in x])]

    check_layer("Normalize", "norm_param { }", [X], over_all, [np.array([2.0])])


def test_caffe_faces_has_no_blob():
    check_layer("Normalize", "", [X], lambda x: by_place(x, None, 0))


@pytest.mark.parametrize("kind", ["L1", "L2"])
def test_caffe_windows_has_a_second_top(kind):
    def both(x):
        norm = np.zeros((2, 1, 2, 2))
        for n, i, j in np.ndindex(2, 2, 2):
            sizes = [abs(x[n, c, i, j]) if kind == "L1" else x[n, c, i, j] ** 2 for c in range(3)]
            norm[n, 0, i, j] = sum(sizes) + 1e-6 if kind == "L1" else np.sqrt(sum(sizes) + 1e-6)
        return [x / norm, norm]

    check_layer("Normalize", f'normalize_param {{ normalize_type: "{kind}" bp_norm: true }}', [X], both, tops=2)


def test_without_bp_norm_the_second_top_has_no_gradient():
    net = one_layer_net("Normalize", "normalize_param { }", [X.shape], tops=2)
    assert not run(net, [X], dtops=[np.zeros(X.shape), np.ones((2, 1, 2, 2))]).diffs[0].any()


def test_unknown_norm_raises():
    assert "must be L1 or L2" in build_error("Normalize", 'normalize_param { normalize_type: "L3" }', [(1, 2)])
