"""Snapshots as HDF5: Caffe's layout name for name, and files that lie."""

import time

import h5py
import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.weights import hdf5, snapshot

WEIGHTS = {
    "conv": [np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.ones(2, np.float32)],
    "inception/1x1": [np.full(12, 5, np.float32)],
    "inception": [np.zeros((), np.float32)],
}


def same(mine, theirs):
    return mine.keys() == theirs.keys() and all(
        a.shape == b.shape and np.array_equal(a, b) for k in mine for a, b in zip(mine[k], theirs[k], strict=True)
    )


def test_weights_have_caffes_layout_and_come_back(tmp_path):
    path = tmp_path / "w.caffemodel.h5"
    snapshot.write_hdf5(path, WEIGHTS, {"conv": WEIGHTS["conv"]})
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert file["data/conv/0"].dtype == np.float32
    assert sorted(names) == [
        "data/conv/0", "data/conv/1", "data/inception/0", "data/inception/1x1/0",
        "diff/conv/0", "diff/conv/1",
    ]  # fmt: skip
    assert same(snapshot.read_weights(path), WEIGHTS)


def test_more_than_ten_blobs_keep_their_order_and_shared_ones_may_lack(tmp_path):
    path = tmp_path / "w.h5"
    snapshot.write_hdf5(
        path, {"l": [np.full(1, i, np.float32) for i in range(12)], "s": [None, np.ones(1, np.float32)]}
    )
    weights = snapshot.read_weights(path)
    assert [int(a[0]) for a in weights["l"]] == list(range(12)) and len(weights["s"]) == 1


def test_states_have_caffes_layout_and_come_back(tmp_path):
    path = tmp_path / "s.solverstate.h5"
    history = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32)]
    snapshot.write_solverstate(path, snapshot.SolverState(12, "w.caffemodel.h5", 3, history))
    with h5py.File(path) as file:
        assert sorted(file) == ["current_step", "history", "iter", "learned_net"]
        assert (file["iter"].shape, file["iter"].dtype, file["iter"][0]) == ((1,), np.int32, 12)
        # a C string of fixed length, its NUL counted
        assert (file["learned_net"].shape, file["learned_net"].dtype) == ((), "S16")
        kind = file["learned_net"].id.get_type()
        assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
    state = snapshot.read_solverstate(path)
    assert (state.iter, state.learned_net, state.current_step) == (12, "w.caffemodel.h5", 3)
    assert same({"h": state.history}, {"h": history})


def broken(path, make):
    with h5py.File(path, "w") as file:
        make(file)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: f.create_group("else"), "no group /data"),
        (lambda f: f.create_dataset("data", data=[1.0]), "no group /data"),
        (lambda f: f.create_dataset("data/a/weight", data=[1.0]), "named 0, 1, 2"),
        (lambda f: f.create_dataset("data/a/0", data=[b"text"]), "no numbers"),
        (
            lambda f: f.create_dataset("data/a/0", shape=(2**14, 2**14), dtype="f4", chunks=(64, 64)),
            "more than the file",
        ),
        (lambda f: f.create_group("data").__setitem__("a", h5py.SoftLink("/data")), "is a link"),
        (lambda f: f.create_group("data").__setitem__("a", h5py.ExternalLink("/etc/x", "/")), "is a link"),
        (lambda f: f.create_group("data").__setitem__("a", f["data"]), "nests too deep"),
    ],
)
def test_files_that_lie_are_refused(make, said, tmp_path):
    with pytest.raises(CaffeError, match=said):
        snapshot.read_weights(broken(tmp_path / "w.h5", make))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: f.create_group("data"), "is it a .solverstate.h5"),
        (lambda f: (f.create_group("history"), f.create_dataset("iter", data=[1.5])), "iter is no integer"),
        (lambda f: (f.create_dataset("history", data=[1]), f.create_dataset("iter", data=[1])), "no group"),
        (lambda f: (f.create_group("history"), f.create_group("iter")), "iter is no data set"),
    ],
)
def test_states_that_lie_are_refused(make, said, tmp_path):
    with pytest.raises(CaffeError, match=said):
        snapshot.read_solverstate(broken(tmp_path / "s.h5", make))


def test_equal_states_are_equal_bytes_at_any_time(tmp_path, monkeypatch):
    for name in ("a", "b"):
        hdf5.write_state(str(tmp_path / name), 7, "net.caffemodel", 2, [np.ones(3, np.float32)])
        time.sleep(1.1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
