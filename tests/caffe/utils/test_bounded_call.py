"""bounded_call: results, errors, time limit and crashes."""

import ctypes
import sys
import time

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.utils import bounded_call

HERE = "test_bounded_call"


@pytest.fixture(autouse=True)
def find_this_file(monkeypatch):
    code = f"import sys; sys.path.append({__file__.rpartition('/')[0]!r})\n" + bounded_call._RUN
    monkeypatch.setattr(bounded_call, "_RUN", code)


def arrays(count):
    return [[np.arange(count, dtype=np.float32)], [], [np.eye(2), np.zeros((0, 3), np.int64)]]


def fail(text):
    raise CaffeError(text)


def hang():
    time.sleep(100)


def crash():
    ctypes.string_at(0)


def exit_early():
    sys.exit(3)


def test_arrays_are_returned():
    found = bounded_call.call(f"{HERE}:arrays", [5], 60)
    assert [[array.tolist() for array in row] for row in found] == [[[0, 1, 2, 3, 4]], [], [[[1, 0], [0, 1]], []]]
    assert found[2][1].shape == (0, 3) and found[0][0].dtype == np.float32


@pytest.mark.parametrize(
    "name, arguments, seconds, message",
    [
        ("fail", ["the reason"], 60, "the reason"),
        ("hang", [], 2, "more than 2 seconds"),
        ("crash", [], 60, "reading crashed"),
        ("exit_early", [], 60, "reading crashed"),
    ],
)
def test_errors(name, arguments, seconds, message):
    with pytest.raises(CaffeError, match=message):
        bounded_call.call(f"{HERE}:{name}", arguments, seconds)
