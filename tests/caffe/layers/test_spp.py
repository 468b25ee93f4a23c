"""SPP compared with an explicit pyramid of bins."""

import math

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net, run


def windows(size, bins):
    kernel = math.ceil(size / bins)
    pad = (kernel * bins - size + 1) // 2
    out = math.ceil((size + 2 * pad - kernel) / kernel) + 1
    return [(i * kernel - pad, min(i * kernel - pad + kernel, size + pad)) for i in range(out)], pad


def pyramid(height, method):
    def pool(x):
        parts = []
        for level in range(height):
            (rows, pad_h), (columns, pad_w) = windows(x.shape[2], 2**level), windows(x.shape[3], 2**level)
            if pad_h or pad_w:
                rows = [w for w in rows if w[0] < x.shape[2]]
                columns = [w for w in columns if w[0] < x.shape[3]]
            part = np.zeros((*x.shape[:2], len(rows), len(columns)))
            for (i, (a, b)), (j, (c, d)) in ((r, k) for r in enumerate(rows) for k in enumerate(columns)):
                inside = x[:, :, max(a, 0) : max(b, 0), max(c, 0) : max(d, 0)]
                part[:, :, i, j] = inside.max((2, 3)) if method == "MAX" else inside.sum((2, 3)) / ((b - a) * (d - c))
            parts.append(part.reshape(x.shape[0], -1))
        return [np.concatenate(parts, 1)]

    return pool


@pytest.mark.parametrize(
    ("height", "shape"), [(2, (2, 3, 4, 4)), (3, (1, 2, 8, 12)), (2, (2, 2, 5, 7)), (3, (1, 1, 11, 12))]
)
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_matches_the_explicit_pyramid(height, shape, method):
    x = np.random.default_rng(1).permutation(math.prod(shape)).reshape(shape) / 10.0
    check_layer("SPP", f"spp_param {{ pyramid_height: {height} pool: {method} }}", [x], pyramid(height, method))


def test_pyramid_of_height_one_keeps_four_axes():
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5))
    result = run(one_layer_net("SPP", "spp_param { pyramid_height: 1 }", [x.shape]), [x])
    assert result.tops[0].shape == (2, 3, 1, 1)
    assert np.allclose(result.tops[0][..., 0, 0], x.max((2, 3)))


def test_bins_adapt_to_the_bottom():
    net = one_layer_net("SPP", "spp_param { pyramid_height: 2 }", [(1, 2, 4, 4)])
    x = np.random.default_rng(1).standard_normal((1, 2, 6, 9))
    net.blobs["x0"].reshape(*x.shape)
    net.reshape()
    assert np.allclose(run(net, [x]).tops[0], pyramid(2, "MAX")(x)[0])


def test_invalid_parameters_raise():
    assert "pyramid_height must be 1 or more" in build_error("SPP", "", [(1, 2, 4, 4)])
    assert "pad must be less than the kernel" in build_error("SPP", "spp_param { pyramid_height: 3 }", [(1, 2, 5, 5)])
    assert "4 axes" in build_error("SPP", "spp_param { pyramid_height: 2 }", [(1, 2, 5)])
