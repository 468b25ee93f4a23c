"""Damaged .dat files of dlib raise one error and never cause an endless loop."""

import pytest

from agegender.errors import AgeGenderError
from agegender.zoo import dlib_weights


def integer(value):
    data = abs(value).to_bytes(8, "little")
    return bytes([8 | (128 if value < 0 else 0)]) + data


@pytest.mark.parametrize("sizes", [(-1, 1, 1, 1), (-3, 5, 7, 1), (2**40, 1, 1, 1), (1, 1, 1)])
def test_impossible_sizes_raise(sizes):
    data = b"con_4" + integer(2) + b"".join(map(integer, sizes))
    with pytest.raises(AgeGenderError, match="truncated|damaged"):
        list(dlib_weights.tensors(data))


def test_valid_file():
    data = b"con_4" + integer(2) + b"".join(map(integer, (2, 1, 1, 1))) + b"\0\0\x80\x3f" * 2
    assert [(tag, values.tolist()) for tag, values in dlib_weights.tensors(data)] == [("con_4", [1.0, 1.0])]
