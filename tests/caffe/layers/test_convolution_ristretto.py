"""ConvolutionRistretto compared with Convolution on rounded arrays."""

import numpy as np
from support import ristretto
from support.reference import build_error

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
    for field in ("precision: MINIFLOAT", "rounding_scheme: STOCHASTIC"):
        assert f"{field} is not implemented" in build_error(
            "ConvolutionRistretto", TEXT + f"quantization_param {{ {field} }}", [(2, 2, 4, 5)]
        )
