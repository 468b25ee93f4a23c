"""Snapshots of real Caffe are read, and written again byte for byte."""

from pathlib import Path

import numpy as np
import pytest
from support.external_data import SHARED, needs_shared

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, read
from caffe.weights import snapshot

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = sorted((GOLDEN / "solvers").glob("*.caffemodel"))
STATES = sorted((GOLDEN / "solvers").glob("*.solverstate"))


def equal(actual, expected):
    return actual.keys() == expected.keys() and all(
        np.array_equal(a, b) for k in actual for a, b in zip(actual[k], expected[k], strict=True)
    )


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_weights_of_real_caffe_match_protobuf_and_round_trip(path, tmp_path):
    weights = snapshot.read_weights(path)
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    expected = {
        layer.name: [np.array(b.data, np.float32).reshape(tuple(b.shape.dim)) for b in layer.blobs]
        for layer in net.layer
        if layer.blobs
    }
    assert weights and equal(weights, expected)
    snapshot.write_caffemodel(tmp_path / "again", read.read_net(path).param, weights)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", STATES, ids=lambda path: path.stem)
def test_solver_states_of_real_caffe_round_trip(path, tmp_path):
    state = snapshot.read_solverstate(path)
    assert state.iter > 0 and state.learned_net.endswith(".caffemodel") and state.history
    snapshot.write_solverstate(tmp_path / "again", state)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", sorted((GOLDEN / "tools").glob("*.binaryproto")), ids=lambda path: path.name)
def test_means_of_real_caffe_round_trip(path, tmp_path):
    mean = snapshot.read_blob(path)
    assert mean.ndim == 4 and mean.shape[0] == 1 and 0 < mean.mean() < 255
    snapshot.write_blob(tmp_path / "again", mean[0], legacy_shape=True)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@needs_shared
def test_published_mean_round_trips(tmp_path):
    path = SHARED / "data" / "levi" / "mean.binaryproto"
    snapshot.write_blob(tmp_path / "again", snapshot.read_blob(path), legacy_shape=True)
    assert (tmp_path / "again").stat().st_size == 786_446
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_writing_to_views_does_not_change_the_file(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(MODELS[0].read_bytes())
    for arrays in snapshot.read_weights(path).values():
        arrays[0][...] = 0
    assert path.read_bytes() == MODELS[0].read_bytes()


def test_v0_and_v1_weights_are_read_by_layer_name(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layers.add(name="v1").blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    net.layers.add().layer.blobs.add(num=1, channels=1, height=1, width=1, data=[3])
    net.layers[1].layer.name = "v0"
    path = tmp_path / "old.caffemodel"
    path.write_bytes(net.SerializeToString())
    weights = snapshot.read_weights(path)
    assert weights["v1"][0].shape == (1, 1, 1, 2) and weights["v0"][0].ravel() == [3]


def test_legacy_shapes_match_with_leading_ones():
    matches = [((4,), (4,)), ((1, 1, 1, 4), (4,)), ((1, 1, 3, 4), (3, 4)), ((1, 1, 1, 1), ())]
    mismatches = [((1, 4), (4,)), ((1, 1, 4, 1), (4,)), ((2, 1, 1, 4), (4,)), ((4,), (1, 1, 1, 4))]
    assert all(snapshot.shape_equals(*pair) for pair in matches)
    assert not any(snapshot.shape_equals(*pair) for pair in mismatches)


def test_gradients_are_written_if_given(tmp_path):
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="a", type="Scale", top=["t"], include=[caffe_pb2.NetStateRule(phase=caffe_pb2.TEST)])
    weights, diffs = {"a": [np.ones(3, np.float32)]}, {"a": [np.full(3, 2, np.float32)]}
    snapshot.write_caffemodel(tmp_path / "w", net, weights, diffs)
    expected = caffe_pb2.NetParameter()
    expected.CopyFrom(net)
    expected.layer[0].blobs.add(data=[1, 1, 1], diff=[2, 2, 2]).shape.dim.append(3)
    assert (tmp_path / "w").read_bytes() == expected.SerializeToString()


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        (snapshot.read_weights, b'layer { name: "x" }', "this is text; weights are in a .caffemodel"),
        (snapshot.read_weights, b"", "the file is empty"),
        (snapshot.read_weights, STATES[0].read_bytes(), "this is not a .caffemodel"),
        (snapshot.read_weights, b"\x0a\x01n", "holds no layers"),
        (snapshot.read_solverstate, MODELS[0].read_bytes(), "these are weights.*--weights"),
        (snapshot.read_blob, STATES[0].read_bytes()[:2], "holds no values|needs"),
        (snapshot.read_blob, b"", "empty"),
        (snapshot.read_weights, b"\x89HDF\r\n\x1a\n broken", "damaged HDF5"),
        (snapshot.read_solverstate, b"\x89HDF\r\n\x1a\n broken", "damaged HDF5"),
    ],
)
def test_invalid_files_raise(reader, content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CaffeError, match=message):
        reader(path)


def test_missing_file_raises(tmp_path):
    with pytest.raises(CaffeError, match="cannot be read"):
        snapshot.read_weights(tmp_path / "none.caffemodel")


def test_file_too_large_for_protobuf_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_PROTOBUF", 100)
    with pytest.raises(CaffeError, match="write HDF5"):
        snapshot.write_blob(tmp_path / "b", np.zeros(100, np.float32))
    assert not list(tmp_path.iterdir())
