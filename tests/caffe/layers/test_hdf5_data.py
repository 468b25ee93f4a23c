"""HDF5Data: rows of several files, in order and shuffled."""

import h5py
import numpy as np
import pytest
from support.layer_nets import net_of

from caffe.errors import CaffeError


@pytest.fixture
def files(tmp_path):
    start = 0
    paths = []
    for number, rows in enumerate((3, 5)):
        paths.append(tmp_path / f"f{number}.h5")
        with h5py.File(paths[-1], "w") as file:
            values = np.arange(start, start + rows)
            file["data"] = np.stack([values, -values], 1).astype(np.float32)
            file["label"] = values.astype(np.int64)
            file["pair"] = np.zeros((rows, 2, 2, 2, 2, 2))
        start += rows
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths)) + "\n")
    return tmp_path


def net(folder, batch=4, more="", tops=("data", "label")):
    tops = " ".join(f'top: "{top}"' for top in tops)
    return net_of(
        f'layer {{ name: "h" type: "HDF5Data" {tops} '
        f'hdf5_data_param {{ source: "{folder}/list.txt" batch_size: {batch} {more} }} }}'
    )


def labels(data_net, count):
    out = []
    for _ in range(count):
        data_net.forward()
        assert np.array_equal(data_net.blobs["data"].data[:, 0], data_net.blobs["label"].data)
        out += list(data_net.blobs["label"].data.astype(int))
    return out


def test_rows_in_order_across_files_and_epochs(files):
    assert labels(net(files), 5) == [*range(8), *range(8), *range(4)]
    assert labels(net(files, batch=19), 1) == [*range(8), *range(8), *range(3)]


def test_data_sets_may_have_any_number_of_axes(files):
    assert net(files, tops=("pair",)).blobs["pair"].shape == (4, 2, 2, 2, 2, 2)


def test_shuffle_yields_every_row_once_per_epoch_in_new_order(files):
    data_net = net(files, more="shuffle: true")
    epochs = [labels(data_net, 2) for _ in range(6)]
    assert all(sorted(r) == list(range(8)) for r in epochs)
    assert len({tuple(r) for r in epochs}) > 3
    for r in epochs:  # one file at a time
        assert {tuple(sorted(r[:3])), tuple(sorted(r[:5]))} & {(0, 1, 2), (3, 4, 5, 6, 7)}


def test_state_restores_bit_for_bit(files):
    data_net = net(files, 3, "shuffle: true")
    labels(data_net, 4)
    state = data_net.nodes[0].layer.state()
    assert all(isinstance(v, int) for v in state.values())
    expected = labels(data_net, 9)
    other = net(files, 3, "shuffle: true")
    other.nodes[0].layer.restore(state)
    assert labels(other, 9) == expected


def test_invalid_inputs_raise(files):
    with pytest.raises(CaffeError, match="no data set 'lable'; did you mean 'label'"):
        net(files, tops=("data", "lable"))
    with pytest.raises(CaffeError, match="batch_size"):
        net(files, batch=0)
    with pytest.raises(CaffeError, match="does not transform"):
        net_of(
            'layer { name: "h" type: "HDF5Data" top: "data" transform_param { scale: 2 } hdf5_data_param '
            f'{{ source: "{files}/list.txt" batch_size: 1 }} }}'
        )
    with h5py.File(files / "f0.h5", "a") as file:
        del file["label"]
        file["label"] = np.zeros(7)
    with pytest.raises(CaffeError, match="same number of rows, received data 3, label 7"):
        net(files)
    (files / "f0.h5").write_bytes(b"no HDF5")
    with pytest.raises(CaffeError, match="f0.h5"):
        net(files)
    (files / "list.txt").write_text("gone.h5")
    with pytest.raises(CaffeError, match="gone.h5"):
        net(files)
    (files / "list.txt").unlink()
    with pytest.raises(CaffeError, match="list.txt"):
        net(files)


def bomb(path):
    """A small file that declares a huge array: its chunks were never written."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data", shape=(2**16, 2**14), dtype="f4", chunks=(64, 64), compression="gzip")


def external_link(path):
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "data")


def external_storage(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", shape=(4,), dtype="u1", external=[("/etc/passwd", 0, 4)])


def dangling(path):
    with h5py.File(path, "w") as file:
        file["data"] = h5py.SoftLink("/none")


def strings(path):
    with h5py.File(path, "w") as file:
        file["data"] = [b"a", b"b"]


def empty(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=h5py.Empty("f4"))


@pytest.mark.parametrize("make", [bomb, external_link, external_storage, dangling, strings, empty])
def test_untrusted_files_raise(tmp_path, make):
    make(tmp_path / "a.h5")
    (tmp_path / "list").write_text(f"{tmp_path}/a.h5\n")
    text = f'layer {{ name: "h" type: "HDF5Data" top: "data" hdf5_data_param {{ source: "{tmp_path}/list" batch_size: 2 }} }}'
    with pytest.raises(CaffeError, match=r"a\.h5"):
        net_of(text)


@pytest.fixture
def solvers(monkeypatch):
    """A function that sets the number and rank of the solvers."""
    from caffe.core import config

    def set_solvers(rank, count):
        monkeypatch.setitem(config._state, "solver_count", count)
        monkeypatch.setitem(config._state, "solver_rank", rank)

    return set_solvers


def _train_net(folder, batch):
    return net_of(
        f'layer {{ name: "h" type: "HDF5Data" top: "data" top: "label" '
        f'hdf5_data_param {{ source: "{folder}/list.txt" batch_size: {batch} }} }}',
        phase=0,
    )


@pytest.mark.parametrize("batches", [1, 2, 3])
@pytest.mark.parametrize("before, after", [(2, 1), (2, 3), (3, 2), (1, 2)])
def test_another_number_of_solvers_continues_at_the_same_row(files, solvers, batches, before, after):
    """The rows that all solvers read after the change are those that follow in the stream of 8 rows."""
    solvers(0, before)
    first = _train_net(files, 2)
    labels(first, batches)
    state = first.nodes[0].layer.state()
    rows = []
    for rank in range(after):
        solvers(rank, after)
        other = _train_net(files, 4)
        layer = other.nodes[0].layer
        layer.restore(layer.reshard(state, before, 1))
        rows += labels(other, 2)
    seen = batches * 2 * before
    assert sorted(rows) == sorted(i % 8 for i in range(seen, seen + 8 * after))
