"""Memory use of the prototxt tokenizer."""

import tracemalloc

import pytest

from caffe.proto.text import tokenizer


@pytest.mark.parametrize("unit", ["a", "\\n", "\\\\"])
@pytest.mark.parametrize("ending", ['"', "", "\n", "\\"])
def test_memory_of_a_long_string(unit, ending):
    text = 'name: "' + unit * 200_000 + ending
    tracemalloc.start()
    found = list(tokenizer.tokens(text))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kinds = [kind for kind, _, _ in found]
    assert kinds == ["name", "mark", "string" if ending == '"' else "bad", "end"]
    assert peak < 4 * len(text) + 100_000
