"""FcRistretto compared with InnerProduct on rounded arrays."""

import numpy as np
from support import ristretto

TEXT = "inner_product_param { num_output: 3 } "


def test_matches_the_plain_layer_on_rounded_arrays():
    rng = np.random.default_rng(4)
    x, weight, bias = rng.standard_normal((2, 5)) * 2, rng.standard_normal((3, 5)) * 0.5, rng.standard_normal(3)
    ristretto.check("FcRistretto", "InnerProduct", TEXT, x, [weight, bias])


def test_other_roundings_are_errors():
    ristretto.check_refused("FcRistretto", TEXT, (2, 5))
