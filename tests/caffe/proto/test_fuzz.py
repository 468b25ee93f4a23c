"""Damaged prototxt and binary files are read or raise a CaffeError, never another exception."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe.errors import CaffeError
from caffe.proto import read
from caffe.weights import snapshot

GOLDEN = Path(__file__).parents[2] / "golden"
V0 = (GOLDEN / "tools" / "upgrade" / "v0.in.prototxt").read_text()
V2 = (GOLDEN / "tools" / "upgrade" / "v0.out.prototxt").read_text()
MODEL = (GOLDEN / "solvers" / "adam.caffemodel").read_bytes()
STATE = (GOLDEN / "solvers" / "adam.solverstate").read_bytes()
MEAN = (GOLDEN / "tools" / "mean_gray.binaryproto").read_bytes()
TOKENS = [*"{}[]:\"'\\#<>-", "layer", "layers {", "1e999", "0x", "\0", "é", "\n"]

few_examples = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
text_changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.sampled_from(TOKENS), st.text(max_size=4))),
    max_size=6,
)
binary_changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=11)), max_size=6)


def damaged(original, changes):
    for position, removed, inserted in changes:
        at = int(position * len(original))
        original = original[:at] + inserted + original[at + removed :]
    return original


@few_examples
@given(st.sampled_from([V0, V2]), text_changes)
def test_damaged_prototxt(prototxt, changes):
    try:
        read.read_net_text(damaged(prototxt, changes), "f")
    except CaffeError as problem:
        assert str(problem)


@few_examples
@given(st.sampled_from([MODEL, STATE, MEAN]), binary_changes)
def test_damaged_binary_files(tmp_path, data, changes):
    path = tmp_path / "file"
    path.write_bytes(damaged(data, changes))
    for reader in (
        snapshot.read_weights,
        snapshot.read_solverstate,
        snapshot.read_blob,
        read.read_net_binary,
    ):
        try:
            reader(path)
        except CaffeError as problem:
            assert str(problem)
