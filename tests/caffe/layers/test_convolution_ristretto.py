"""ConvolutionRistretto compared with Convolution on rounded arrays."""

import numpy as np
from support import ristretto

TEXT = "convolution_param { num_output: 3 kernel_size: 3 pad: 1 } "


def test_matches_the_plain_layer_on_rounded_arrays():
    rng = np.random.default_rng(4)
    x, weight, bias = (
        rng.standard_normal((2, 2, 4, 5)) * 2,
        rng.standard_normal((3, 2, 3, 3)) * 0.5,
        rng.standard_normal(3),
    )
    ristretto.check("ConvolutionRistretto", "Convolution", TEXT, x, [weight, bias])


def test_other_roundings_are_errors():
    ristretto.check_refused("ConvolutionRistretto", TEXT, (2, 2, 4, 5))
