"""Damaged prototxt and binary files: whatever happens to them, the answer is a message or a CaffeError."""

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
WORDS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    '"',
    "'",
    "\\",
    "#",
    "<",
    ">",
    "-",
    "layer",
    "layers {",
    "1e999",
    "0x",
    "\0",
    "é",
    "\n",
]

few = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
cuts = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.sampled_from(WORDS), st.text(max_size=4))),
    max_size=6,
)
damages = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=11)), max_size=6)


def damaged(original, changes):
    for place, removed, inserted in changes:
        at = int(place * len(original))
        original = original[:at] + inserted + original[at + removed :]
    return original


@few
@given(st.sampled_from([V0, V2]), cuts)
def test_damaged_prototxt(prototxt, changes):
    try:
        read.read_net_text(damaged(prototxt, changes), "f")
    except CaffeError as problem:
        assert str(problem)


@few
@given(st.sampled_from([MODEL, STATE, MEAN]), damages)
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
