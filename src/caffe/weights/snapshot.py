"""Snapshots: weights (.caffemodel), solver states (.solverstate) and single blobs (.binaryproto), both ways.

Files that end in .h5 are HDF5, all others binary protobuf; when reading, the content tells. Reading copies no
number: arrays are views of the mapped file, unaligned, and what is written to them does not reach the file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caffe.errors import CaffeError
from caffe.proto import binary, blobs, caffe_pb2
from caffe.proto.read import is_binary
from caffe.utils.atomic_io import atomic_write
from caffe.weights import hdf5

Weights = Mapping[str, Sequence[np.ndarray]]
MAX_PROTOBUF = 2**31 - 1  # bytes; protobuf, and so real Caffe, reads no message beyond
_LAYER, _NAME = 100, 1  # NetParameter
_LAYER_BLOBS = 7  # LayerParameter


@dataclasses.dataclass
class SolverState:
    """What a solver goes on from: iteration, file of the weights, steps of multistep, and its histories."""

    iter: int
    learned_net: str
    current_step: int
    history: list[np.ndarray]


def read_weights(path: str | os.PathLike[str]) -> dict[str, list[np.ndarray]]:
    """Return the blobs of each layer that has any, by layer name, from a .caffemodel (V0, V1, V2) or HDF5.

    Shapes are as stored: files of 2014 and before hold 1 x 1 x 1 x N for a bias (see `shape_equals`).
    Raises CaffeError that names the file and the offset or layer.
    """
    path = os.fspath(path)
    if hdf5.is_hdf5(path):
        return hdf5.read_weights(path)
    view = _binary(path, "weights are in a .caffemodel")
    net = caffe_pb2.NetParameter()
    stored = binary.read(view, net, path, weights_only=True)
    if not net.layer and not net.layers:
        raise CaffeError(f"{path}: holds no layers; is it a .caffemodel?")
    weights: dict[str, list[np.ndarray]] = {}
    for place, found in stored.items():
        weights[_layer_name(net, place)] = [blob.data for blob in found]
    return weights


def _layer_name(net: Any, place: tuple[Any, ...]) -> str:
    """Return the name of the layer at ("layer", 3), ("layers", 3), or ("layers", 3, "layer") in V0."""
    message = getattr(net, place[0])[place[1]]
    return message.layer.name if len(place) == 3 else message.name


def shape_equals(stored: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a stored shape fits a blob's: the same, or four legacy axes that do with ones in front."""
    stored, shape = tuple(stored), tuple(shape)
    if stored == shape:
        return True
    return len(stored) == 4 and len(shape) <= 4 and stored == (1,) * (4 - len(shape)) + shape


def write_caffemodel(
    path: str | os.PathLike[str], net_param: Any, weights: Weights, diffs: Weights | None = None
) -> None:
    """Write weights with their net, as Caffe's Net::ToProto does: its name and its layers with their blobs.

    `net_param` is a NetParameter of V2, `weights` and `diffs` blobs by layer name. A path that ends in .h5
    gets HDF5, which has no bound on size; binary files end at 2 GiB.
    """
    path = os.fspath(path)
    if path.endswith(".h5"):
        hdf5.write_weights(path, weights, diffs)
        return
    pieces: list[Any] = []
    if net_param.HasField("name"):
        pieces.append(caffe_pb2.NetParameter(name=net_param.name).SerializeToString())
    for layer in net_param.layer:
        gradients = (diffs or {}).get(layer.name)
        pieces += blobs.field(_LAYER, _layer_pieces(layer, weights.get(layer.name, ()), gradients))
    _write(path, pieces)


def _layer_pieces(layer: Any, arrays: Sequence[np.ndarray], gradients: Sequence[np.ndarray] | None) -> list[Any]:
    """Return a LayerParameter with its blobs, fields in the order of their numbers, as in Caffe's files."""
    before, after = caffe_pb2.LayerParameter(), caffe_pb2.LayerParameter()
    before.CopyFrom(layer)
    after.CopyFrom(layer)
    for field, _ in layer.ListFields():
        (after if field.number < _LAYER_BLOBS else before).ClearField(field.name)
    after.ClearField("blobs")
    pieces: list[Any] = [before.SerializeToString()]
    for index, array in enumerate(arrays):
        diff = gradients[index] if gradients is not None else None
        pieces += blobs.field(_LAYER_BLOBS, blobs.encode(array, diff))
    return [*pieces, after.SerializeToString()]


def write_hdf5(path: str | os.PathLike[str], weights: Weights, diffs: Weights | None = None) -> None:
    """Write weights as HDF5 in Caffe's layout, /data/<layer>/<i>; gradients, if any, as /diff/<layer>/<i>."""
    hdf5.write_weights(os.fspath(path), weights, diffs)


def read_solverstate(path: str | os.PathLike[str]) -> SolverState:
    """Read a .solverstate, binary or HDF5."""
    path = os.fspath(path)
    if hdf5.is_hdf5(path):
        return SolverState(*hdf5.read_state(path))
    view = _binary(path, "a solver state is in a .solverstate")
    if len(view) and view[0] == (_NAME << 3 | 2):  # a string first: the name of a net
        raise CaffeError(
            f"{path}: these are weights (a .caffemodel), not a solver state; give a .solverstate to go on from, "
            "or the weights to start from (--weights)"
        )
    state = caffe_pb2.SolverState()
    stored = binary.read(view, state, path)
    history = [blob.data for blob in stored.get((), [])]
    return SolverState(state.iter, state.learned_net, state.current_step, history)


def write_solverstate(path: str | os.PathLike[str], state: SolverState) -> None:
    """Write a .solverstate as Caffe does: HDF5 where the path ends in .h5, else binary."""
    path = os.fspath(path)
    if path.endswith(".h5"):
        hdf5.write_state(path, state.iter, state.learned_net, state.current_step, state.history)
        return
    head = caffe_pb2.SolverState(iter=int(state.iter), learned_net=state.learned_net)
    tail = caffe_pb2.SolverState(current_step=int(state.current_step))
    pieces: list[Any] = [head.SerializeToString()]
    for array in state.history:
        pieces += blobs.field(3, blobs.encode(array))
    _write(path, [*pieces, tail.SerializeToString()])


def read_blob(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one blob, such as a mean, from a .binaryproto: a view of the file, of its stored shape."""
    path = os.fspath(path)
    view = _binary(path, "a blob is in a .binaryproto")
    if not len(view):
        raise CaffeError(f"{path}: the file is empty")
    blob = blobs.read_blob(view, path).data
    if not blob.size:
        raise CaffeError(f"{path}: holds no values; is it a .binaryproto?")
    return blob


def write_blob(path: str | os.PathLike[str], array: np.ndarray, legacy_shape: bool = False) -> None:
    """Write one blob to a .binaryproto; with `legacy_shape` byte for byte as compute_image_mean does."""
    _write(os.fspath(path), blobs.encode(np.asarray(array), legacy_shape=legacy_shape))


def _binary(path: str, advice: str) -> memoryview:
    view = binary.open_view(path)
    if len(view) and not is_binary(bytes(view[:1024]) + bytes(view[-1024:])):
        raise CaffeError(f"{path}: this is text; {advice}")
    return view


def _write(path: str, pieces: list[Any]) -> None:
    if blobs.length(pieces) > MAX_PROTOBUF:
        raise CaffeError(
            f"{path}: more than 2 GiB, which protobuf cannot read back; write HDF5 (snapshot_format: HDF5)"
        )
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        for piece in pieces:
            stream.write(piece.data if isinstance(piece, np.ndarray) else piece)
