"""HDF5 snapshots: Caffe's exact layout, and malformed files."""

import h5py
import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.weights import snapshot

WEIGHTS = {
    "conv": [np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.ones(2, np.float32)],
    "inception/1x1": [np.full(12, 5, np.float32)],
    "inception": [np.zeros((), np.float32)],
}


def equal(actual, expected):
    return actual.keys() == expected.keys() and all(
        a.shape == b.shape and np.array_equal(a, b) for k in actual for a, b in zip(actual[k], expected[k], strict=True)
    )


def test_weights_round_trip_in_caffes_layout(tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    snapshot.write_hdf5(path, WEIGHTS, {"conv": WEIGHTS["conv"]})
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert file["data/conv/0"].dtype == np.float32
    expected = ["data/conv/0", "data/conv/1", "data/inception/0", "data/inception/1x1/0", "diff/conv/0", "diff/conv/1"]
    assert sorted(names) == expected
    assert equal(snapshot.read_weights(path), WEIGHTS)


def test_blobs_are_sorted_numerically_and_shared_blobs_may_be_missing(tmp_path):
    path = tmp_path / "w.h5"
    snapshot.write_hdf5(
        path, {"l": [np.full(1, i, np.float32) for i in range(12)], "s": [None, np.ones(1, np.float32)]}
    )
    weights = snapshot.read_weights(path)
    assert [int(a[0]) for a in weights["l"]] == list(range(12))
    assert weights["s"][0] is None and list(weights["s"][1]) == [1]


def test_states_round_trip_in_caffes_layout(tmp_path):
    path = tmp_path / "s.solverstate.h5"
    history = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32)]
    snapshot.write_solverstate(path, snapshot.SolverState(12, "w.caffemodel.h5", 3, history))
    with h5py.File(path) as file:
        assert sorted(file) == ["current_step", "history", "iter", "learned_net"]
        assert (file["iter"].shape, file["iter"].dtype, file["iter"][0]) == ((1,), np.int32, 12)
        # a fixed-length C string, including its NUL
        assert (file["learned_net"].shape, file["learned_net"].dtype) == ((), "S16")
        string_type = file["learned_net"].id.get_type()
        assert string_type.get_strpad() == h5py.h5t.STR_NULLTERM
    state = snapshot.read_solverstate(path)
    assert (state.iter, state.learned_net, state.current_step) == (12, "w.caffemodel.h5", 3)
    assert equal({"h": state.history}, {"h": history})


def write_file(path, write_content):
    with h5py.File(path, "w") as file:
        write_content(file)
    return path


@pytest.mark.parametrize(
    ("write_content", "message"),
    [
        (lambda f: f.create_group("else"), "no group /data"),
        (lambda f: f.create_dataset("data", data=[1.0]), "no group /data"),
        (lambda f: f.create_dataset("data/a/weight", data=[1.0]), "named 0, 1, 2"),
        (lambda f: f.create_dataset("data/a/0", data=[b"text"]), "is not numeric"),
        (
            lambda f: f.create_dataset("data/a/0", shape=(2**30, 2**30), dtype="f4", chunks=(64, 64)),
            "more than the file",
        ),
        (lambda f: f.create_group("data").__setitem__("a", h5py.SoftLink("/data")), "is a link"),
        (lambda f: f.create_group("data").__setitem__("a", h5py.ExternalLink("/etc/x", "/")), "is a link"),
        (lambda f: f.create_group("data").__setitem__("a", f["data"]), "nests too deep"),
    ],
)
def test_malformed_weights_raise(write_content, message, tmp_path):
    with pytest.raises(CaffeError, match=message):
        snapshot.read_weights(write_file(tmp_path / "w.h5", write_content))


@pytest.mark.parametrize(
    ("write_content", "message"),
    [
        (lambda f: f.create_group("data"), "is it a .solverstate.h5"),
        (lambda f: (f.create_group("history"), f.create_dataset("iter", data=[1.5])), "iter is not an integer"),
        (lambda f: (f.create_dataset("history", data=[1]), f.create_dataset("iter", data=[1])), "is not a group"),
        (lambda f: (f.create_group("history"), f.create_group("iter")), "iter is not a data set"),
    ],
)
def test_malformed_states_raise(write_content, message, tmp_path):
    with pytest.raises(CaffeError, match=message):
        snapshot.read_solverstate(write_file(tmp_path / "s.h5", write_content))
