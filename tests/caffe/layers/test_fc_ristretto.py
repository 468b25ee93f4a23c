"""FcRistretto compared with InnerProduct on rounded arrays."""

import numpy as np
from support import ristretto
from support.reference import build_error

TEXT = "inner_product_param { num_output: 3 } "


def test_matches_the_plain_layer_on_rounded_arrays():
    rng = np.random.default_rng(4)
    x, weight, bias = rng.standard_normal((2, 5)) * 2, rng.standard_normal((3, 5)) * 0.5, rng.standard_normal(3)
    ristretto.check("FcRistretto", "InnerProduct", TEXT, x, [weight, bias])


def test_other_roundings_are_errors():
    for field in ("precision: MINIFLOAT", "rounding_scheme: STOCHASTIC"):
        assert f"{field} is not implemented" in build_error(
            "FcRistretto", TEXT + f"quantization_param {{ {field} }}", [(2, 5)]
        )
