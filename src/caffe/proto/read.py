"""Reads nets and solvers from files, of any generation, text or binary, and upgrades them to V2."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from caffe.errors import CaffeError
from caffe.proto import binary, caffe_pb2, text, upgrade
from caffe.proto.source_locations import Places
from caffe.utils.input_file import shown

_INLINE_NETS = ("net_param", "train_net_param", "test_net_param")
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\v")


@dataclasses.dataclass
class NetFile:
    """A NetParameter (V2) and the place ("file:line") of each of its layers, for messages."""

    param: Any
    where: list[str]


@dataclasses.dataclass
class SolverFile:
    """A SolverParameter and where its fields stand: `where.at("base_lr")` is "file:line"."""

    param: Any
    where: Places


def read_net(path: str | os.PathLike[str]) -> NetFile:
    """Read a net from a prototxt, or the net that a binary file (.caffemodel) holds, without its weights."""
    path = os.fspath(path)
    data = _head(path)
    if is_binary(data):
        return read_net_binary(path, blobs=False)
    return read_net_text(_text(path), path)


def read_net_text(prototxt: str, filename: str = "<net>") -> NetFile:
    """Read a net from prototxt; CaffeError lists every fault with file:line:column."""
    param = caffe_pb2.NetParameter()
    places = text.parse(prototxt, param, filename)
    if param.layer and param.layers:
        raise CaffeError(
            "{}: the net has both `layer` and `layers` (older, first at {}); write all of them as `layer`".format(
                places.at("layer"), places.at("layers")
            )
        )
    where = places.all("layers") or places.all("layer")
    where = upgrade.upgrade_net(param, where, filename)
    if where and where[0] == filename:  # the Input layer that the upgrade made
        where[0] = places.at("input")
    return NetFile(param, where)


def read_net_binary(path: str | os.PathLike[str], blobs: bool = True) -> NetFile:
    """Read a binary NetParameter, upgraded to V2; with `blobs` its weights stay in it, as messages.

    To get at weights alone `caffe.weights.snapshot.read_weights` is far quicker: it copies nothing.
    """
    path = os.fspath(path)
    param = caffe_pb2.NetParameter()
    view = binary.open_view(path)
    if len(view) and not is_binary(bytes(view[:1024])):
        raise CaffeError(f"{path}: this is text; a binary net (.caffemodel) is wanted")
    binary.read(view, param, path)
    if blobs:
        binary.parse_whole(view, param, path)
    return NetFile(param, upgrade.upgrade_net(param, None, path))


def read_solver(path: str | os.PathLike[str], prefix: bool = True) -> SolverFile:
    """Read a solver prototxt and upgrade it; `prefix` sets snapshot_prefix as `caffe train` does."""
    path = os.fspath(path)
    file = read_solver_text(_text(path), path)
    if prefix:
        upgrade.set_snapshot_prefix(file.param, path)
    return file


def read_solver_text(prototxt: str, filename: str = "<solver>") -> SolverFile:
    """Read a solver from prototxt: upgraded, but without a snapshot_prefix of our making."""
    param = caffe_pb2.SolverParameter()
    places = text.parse(prototxt, param, filename)
    upgrade.upgrade_solver(param, filename)
    for name in _INLINE_NETS:
        for net in _inline(param, name):
            upgrade.upgrade_net(net, None, f"{places.at(name)}: {name}")
    return SolverFile(param, places)


def _inline(solver: Any, name: str) -> list[Any]:
    if name == "test_net_param":
        return list(solver.test_net_param)
    return [getattr(solver, name)] if solver.HasField(name) else []


def is_binary(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a binary message: control characters no text has."""
    return any(byte in _CONTROLS for byte in head)


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(1024)
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        raise CaffeError(f"{shown(path)}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from None


def _text(path: str) -> str:
    """Return the text of a prototxt; bytes that are not UTF-8 (old comments have them) stay as surrogates."""
    data = _head(path)
    if is_binary(data):
        raise CaffeError(f"{path}: this is a binary file; a prototxt is text")
    if os.path.getsize(path) > text.MAX_CHARACTERS:
        raise CaffeError("%s: more than %d bytes; no prototxt is so long" % (path, text.MAX_CHARACTERS))
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        return stream.read()
