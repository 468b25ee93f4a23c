"""Read nets and solvers of any version from text or binary files, and upgrade them to V2."""

from __future__ import annotations

import dataclasses
import io
import os
from typing import Any

from caffe.errors import CaffeError
from caffe.proto import binary, caffe_pb2, dialects, foreign, text, upgrade
from caffe.proto.text.source_locations import SourceLocations
from caffe.utils.input_file import shown

_HEAD_BYTES = 1024  # from which text and binary files are distinguished
_INLINE_NETS = ("net_param", "train_net_param", "test_net_param")
_CONTROL_CHARACTERS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\v")


@dataclasses.dataclass
class NetFile:
    """A NetParameter (V2) and the location ("file:line") of each of its layers, for error messages."""

    param: Any
    where: list[str]


@dataclasses.dataclass
class SolverFile:
    """A SolverParameter and the locations of its fields: `where.at("base_lr")` is "file:line"."""

    param: Any
    where: SourceLocations


def read_net(path: str | os.PathLike[str], dialect: str | None = None) -> NetFile:
    """Read a net from a prototxt or a binary file (.caffemodel), without weights.

    Parameters
    ----------
    path : str
    dialect : str, optional
        The fork whose numbers a binary file has (`caffe.proto.dialects.names()`); default: those of SSD.

    Returns
    -------
    NetFile
        The net, upgraded to V2, and the locations of its layers.

    Raises
    ------
    CaffeError
        If the file cannot be read or parsed; all errors are listed with file:line:column.
    """
    path = os.fspath(path)
    stream, head = _opened(path)
    with stream:
        foreign.check(head, path, "a prototxt or a caffemodel")
        if not is_binary(head):
            return read_net_text(_decoded(stream, path), path)
    return read_net_binary(path, blobs=False, dialect=dialect)


def read_net_text(prototxt: str, filename: str = "<net>") -> NetFile:
    """Parse a net from prototxt; raise a CaffeError that lists all errors with file:line:column."""
    param = caffe_pb2.NetParameter()
    locations = _parse(prototxt, param, filename, caffe_pb2.SolverParameter, "a solver; expected a net")
    if param.layer and param.layers:
        raise CaffeError(
            f"{locations.at('layer')}: the net has both `layer` and `layers` (older, first at "
            f"{locations.at('layers')}); write all of them as `layer`"
        )
    where = locations.all("layers") or locations.all("layer")
    where = upgrade.upgrade_net(param, where, filename)
    if where and where[0] == filename:  # the Input layer that the upgrade added
        where[0] = locations.at("input")
    return NetFile(param, where)


def read_net_binary(
    path: str | os.PathLike[str], blobs: bool = True, dialect: str | None = None, keep_unknown: bool = False
) -> NetFile:
    """Read a binary NetParameter and upgrade it to V2; with `blobs` it includes the weights as messages.

    To read only the weights, `caffe.weights.snapshot.read_weights` is much faster because it does not copy, and needs
    no dialect. Raises CaffeError if layers have fields that do not exist in the dialect; with `keep_unknown` (and
    without a dialect) those that no dialect has stay in the messages as bytes.
    """
    path = os.fspath(path)
    view = binary.open_view(path)
    foreign.check(bytes(view[:1024]), path, "a binary net (.caffemodel)")
    if len(view) and not is_binary(bytes(view[:1024])):
        raise CaffeError(f"{path}: expected a binary net (.caffemodel), received text")
    param = dialects.read_net(view, path, blobs, dialect, keep_unknown and not dialect)
    return NetFile(param, upgrade.upgrade_net(param, None, path))


def read_solver(path: str | os.PathLike[str], prefix: bool = True) -> SolverFile:
    """Read a solver prototxt and upgrade it; `prefix` sets a missing snapshot_prefix as `caffe train` does."""
    path = os.fspath(path)
    file = read_solver_text(_text(path), path)
    if prefix:
        upgrade.set_snapshot_prefix(file.param, path)
    return file


def read_solver_text(prototxt: str, filename: str = "<solver>") -> SolverFile:
    """Parse a solver from prototxt and upgrade it, without setting a missing snapshot_prefix."""
    param = caffe_pb2.SolverParameter()
    locations = _parse(prototxt, param, filename, caffe_pb2.NetParameter, "a net; expected a solver, which names it")
    upgrade.upgrade_solver(param, filename)
    for name in _INLINE_NETS:
        for net in _inline(param, name):
            upgrade.upgrade_net(net, None, f"{locations.at(name)}: {name}")
    return SolverFile(param, locations)


def _parse(prototxt: str, param: Any, filename: str, other: Any, kind: str) -> text.SourceLocations:
    """Parse `prototxt` into `param`; if it is a valid message of the class `other` instead, the error says so."""
    try:
        return text.parse(prototxt, param, filename)
    except CaffeError:
        try:
            text.parse(prototxt, other(), filename)
        except CaffeError:
            pass
        else:
            raise CaffeError(f"{filename}: this is {kind}") from None
        raise


def _inline(solver: Any, name: str) -> list[Any]:
    if name == "test_net_param":
        return list(solver.test_net_param)
    return [getattr(solver, name)] if solver.HasField(name) else []


def is_binary(head: bytes) -> bool:
    """Return whether the first bytes of a file contain control characters, which text does not have."""
    return any(byte in _CONTROL_CHARACTERS for byte in head)


def _opened(path: str) -> tuple[io.BufferedReader, bytes]:
    """Open a file and return its first bytes too, without moving: a pipe can be read only once."""
    try:
        stream = open(path, "rb")  # noqa: SIM115 # the caller closes it
        try:
            return stream, stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        except BaseException:
            stream.close()
            raise
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        raise CaffeError(f"{shown(path)}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from None


def _text(path: str) -> str:
    """Return the text of a prototxt."""
    stream, head = _opened(path)
    with stream:
        foreign.check(head, path, "a prototxt")
        if is_binary(head):
            raise CaffeError(f"{path}: expected a prototxt (text), received a binary file")
        return _decoded(stream, path)


def _decoded(stream: io.BufferedReader, path: str) -> str:
    """Return the text of an open prototxt; bytes that are not UTF-8 (in old comments) become surrogates."""
    if os.fstat(stream.fileno()).st_size > text.MAX_CHARACTERS:
        raise CaffeError(f"{path}: larger than {text.MAX_CHARACTERS} bytes, the limit for a prototxt")
    decoder = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    return decoder.read(text.MAX_CHARACTERS + 1)  # an endless pipe has no size; the parser rejects what is longer
