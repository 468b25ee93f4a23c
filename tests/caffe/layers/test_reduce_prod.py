"""ReduceProd compared with loops."""

import math

import pytest
from support import reductions

LAYER = ("ReduceProd", "reduce_prod_param")


@pytest.mark.parametrize(("text", "axes", "keep"), reductions.CASES)
def test_matches_loops(text, axes, keep):
    reductions.check(*LAYER, math.prod, text, axes, keep)


def test_an_axis_out_of_range_is_an_error():
    reductions.check_range(*LAYER)
