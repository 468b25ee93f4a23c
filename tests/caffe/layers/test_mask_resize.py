"""MaskResize compared with a loop over pixels."""

import numpy as np
import pytest
from support import bilinear_loop
from support.reference import build_error, check_layer, one_layer_net, run


@pytest.mark.parametrize("height, width", [(3, 7), (8, 2)])
def test_matches_a_loop_over_the_pixels(height, width):
    def resized(x):
        y = np.zeros((*x.shape[:2], height, width))
        for n, c, i, j in np.ndindex(y.shape):
            y[n, c, i, j] = bilinear_loop.value(x[n, c], i * x.shape[2] / height, j * x.shape[3] / width)
        return [y]

    x = np.random.default_rng(2).standard_normal((2, 1, 4, 5))
    check_layer("MaskResize", f"mask_resize_param {{ output_height: {height} output_width: {width} }}", [x], resized)


def test_factors_replace_the_sizes():
    fields = "output_height: 3 output_width: 7"
    factors = "output_height: 1 output_width: 1 factor_height: 0.75 factor_width: 1.45"
    x = np.random.default_rng(2).standard_normal((2, 1, 4, 5))
    nets = [one_layer_net("MaskResize", f"mask_resize_param {{ {text} }}", [x.shape]) for text in (fields, factors)]
    np.testing.assert_array_equal(*(run(net, [x]).tops[0] for net in nets))


def test_the_size_is_required():
    assert "output_height and output_width" in build_error("MaskResize", "", [(1, 1, 4, 4)])
