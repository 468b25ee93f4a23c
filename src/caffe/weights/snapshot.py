"""Readers and writers of weights (.caffemodel), solver states (.solverstate) and single blobs (.binaryproto).

Paths ending in .h5 are written as HDF5, all others as binary protobuf; readers detect the format from the content.
Reading copies no values: arrays are unaligned copy-on-write views of the mapped file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caffe.errors import CaffeError
from caffe.proto import binary, blobs, caffe_pb2, foreign
from caffe.proto.read import is_binary
from caffe.utils.atomic_io import atomic_write
from caffe.weights import hdf5

Weights = Mapping[str, Sequence[np.ndarray]]
MAX_PROTOBUF = 2**31 - 1  # bytes; the largest message that protobuf, and therefore Caffe, reads
_LAYER, _NAME = 100, 1  # NetParameter
_LAYER_BLOBS = 7  # LayerParameter


@dataclasses.dataclass
class SolverState:
    """The state to resume a solver from: iteration, weights file, current step of multistep, and histories."""

    iter: int
    learned_net: str
    current_step: int
    history: list[np.ndarray]


def read_weights(path: str | os.PathLike[str]) -> dict[str, list[np.ndarray]]:
    """Read the weights of a .caffemodel (V0, V1, V2) or HDF5 file.

    Parameters
    ----------
    path : str
        The weights file.

    Returns
    -------
    dict of str to list of ndarray
        The blobs of each layer that has any, in their stored shapes. Files from before 2015 store a bias as
        1 x 1 x 1 x N (see `shape_equals`).

    Raises
    ------
    CaffeError
        If the file is damaged; the message names the file and the offset or layer.
    """
    path = os.fspath(path)
    if hdf5.is_hdf5(path):
        return hdf5.read_weights(path)
    view = _binary(path, "weights are in a .caffemodel")
    foreign.check(bytes(view[:1024]), path, "a .caffemodel")
    net = caffe_pb2.NetParameter()
    stored = binary.read(view, net, path, weights_only=True)
    if not net.layer and not net.layers:
        raise CaffeError(f"{path}: holds no layers; is it a .caffemodel?")
    weights: dict[str, list[np.ndarray]] = {}
    for field_path, layer_blobs in stored.items():
        weights[_layer_name(net, field_path)] = [blob.data for blob in layer_blobs]
    return weights


def _layer_name(net: Any, field_path: tuple[Any, ...]) -> str:
    """Return the name of the layer at ("layer", 3), ("layers", 3), or ("layers", 3, "layer") in V0."""
    message = getattr(net, field_path[0])[field_path[1]]
    return message.layer.name if len(field_path) == 3 else message.name


def shape_equals(stored: Sequence[int], shape: Sequence[int]) -> bool:
    """Return whether a stored shape matches a blob's shape: equal, or four legacy axes with leading ones."""
    stored, shape = tuple(stored), tuple(shape)
    if stored == shape:
        return True
    return len(stored) == 4 and len(shape) <= 4 and stored == (1,) * (4 - len(shape)) + shape


def write_caffemodel(
    path: str | os.PathLike[str], net_param: Any, weights: Weights, diffs: Weights | None = None
) -> None:
    """Write weights with their net, as Caffe's Net::ToProto does.

    Parameters
    ----------
    path : str
        A path ending in .h5 is written as HDF5, which has no size limit; binary files are limited to 2 GiB.
    net_param : NetParameter
        The net, in the V2 format.
    weights, diffs : dict of str to list of ndarray
        Blobs and, optionally, their gradients by layer name.
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
    """Encode a LayerParameter with its blobs; fields are ordered by number, as in Caffe's files."""
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
    """Write weights as HDF5 in Caffe's layout, /data/<layer>/<i>, and gradients as /diff/<layer>/<i>."""
    hdf5.write_weights(os.fspath(path), weights, diffs)


def read_solverstate(path: str | os.PathLike[str]) -> SolverState:
    """Read a .solverstate, binary or HDF5."""
    path = os.fspath(path)
    if hdf5.is_hdf5(path):
        return SolverState(*hdf5.read_state(path))
    view = _binary(path, "a solver state is in a .solverstate")
    if len(view) and view[0] == (_NAME << 3 | 2):  # a string first: the name of a net
        raise CaffeError(
            f"{path}: these are weights (a .caffemodel), not a solver state; pass a .solverstate to resume training, "
            "or pass the weights as --weights to fine-tune"
        )
    state = caffe_pb2.SolverState()
    stored = binary.read(view, state, path)
    history = [blob.data for blob in stored.get((), [])]
    return SolverState(state.iter, state.learned_net, state.current_step, history)


def write_solverstate(path: str | os.PathLike[str], state: SolverState) -> None:
    """Write a .solverstate as Caffe does: HDF5 if the path ends in .h5, otherwise binary."""
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
    """Read one blob, such as a mean, from a .binaryproto; returns a view of the file in its stored shape."""
    path = os.fspath(path)
    view = _binary(path, "a blob is in a .binaryproto")
    if not len(view):
        raise CaffeError(f"{path}: the file is empty")
    blob = blobs.read_blob(view, path).data
    if not blob.size:
        raise CaffeError(f"{path}: holds no values; is it a .binaryproto?")
    return blob


def write_blob(path: str | os.PathLike[str], array: np.ndarray, legacy_shape: bool = False) -> None:
    """Write one blob to a .binaryproto; `legacy_shape` gives the exact bytes of Caffe's compute_image_mean."""
    _write(os.fspath(path), blobs.encode(np.asarray(array), legacy_shape=legacy_shape))


def _binary(path: str, advice: str) -> memoryview:
    view = binary.open_view(path)
    kind = foreign.kind_of(bytes(view[:1024]))
    if kind is not None:
        raise CaffeError(f"{path}: this is {kind}; {advice}")
    if len(view) and not is_binary(bytes(view[:1024]) + bytes(view[-1024:])):
        raise CaffeError(f"{path}: this is text; {advice}")
    return view


def _write(path: str, pieces: list[Any]) -> None:
    if blobs.length(pieces) > MAX_PROTOBUF:
        raise CaffeError(
            f"{path}: larger than 2 GiB, which protobuf cannot read; write HDF5 instead (snapshot_format: HDF5)"
        )
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        for piece in pieces:
            stream.write(piece.data if isinstance(piece, np.ndarray) else piece)
