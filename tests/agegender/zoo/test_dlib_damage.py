"""A damaged .dat file of dlib ends in one error, and never in a loop."""

import pytest

from agegender.errors import AgeGenderError
from agegender.zoo import dlib_weights


def number(value):
    data = abs(value).to_bytes(8, "little")
    return bytes([8 | (128 if value < 0 else 0)]) + data


@pytest.mark.parametrize("sizes", [(-1, 1, 1, 1), (-3, 5, 7, 1), (2**40, 1, 1, 1), (1, 1, 1)])
def test_sizes_that_cannot_be(sizes):
    data = b"con_4" + number(2) + b"".join(map(number, sizes))
    with pytest.raises(AgeGenderError, match="cut short|damaged"):
        list(dlib_weights.tensors(data))


def test_whole_numbers_and_values():
    data = b"con_4" + number(2) + b"".join(map(number, (2, 1, 1, 1))) + b"\0\0\x80\x3f" * 2
    assert [(kind, values.tolist()) for kind, values in dlib_weights.tensors(data)] == [("con_4", [1.0, 1.0])]
