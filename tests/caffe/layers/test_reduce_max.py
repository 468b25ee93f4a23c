"""ReduceMax compared with loops."""

import pytest
from support import reductions

LAYER = ("ReduceMax", "reduce_max_param")


@pytest.mark.parametrize(("text", "axes", "keep"), reductions.CASES)
def test_matches_loops(text, axes, keep):
    reductions.check(*LAYER, max, text, axes, keep)


def test_an_axis_out_of_range_is_an_error():
    reductions.check_range(*LAYER)
