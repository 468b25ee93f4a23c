"""Binary nets of Caffe's forks, which give the same number to different fields.

A dialect is a table of a fork's numbers, NAME.txt in this directory: facts from its public caffe.proto. A line names a
message and its fields that differ from Caffe's (`field=number`, with `:type` if forks.proto has another type, and
`-field` for a field of Caffe that the fork lacks); a message of the fork alone in a line has the fields of forks.proto.
Lines with `enum` do the same for the values of enums. A net in a dialect is read with the fork's schema and copied to
ours field by field, by name.
"""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import binary, caffe_pb2
from caffe.proto import blobs as blob_format
from caffe.proto.dialects import schema, transfer
from caffe.proto.dialects.unknown_fields import unknown_fields

ALIASES = {"nvcaffe": "nvcaffe-0.17"}
_DIRECTORY = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of all dialects."""
    return tuple(sorted(path.stem for path in _DIRECTORY.glob("*.txt")))


def _check(name: str) -> str:
    if ALIASES.get(name, name) in names():
        return ALIASES.get(name, name)
    close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise CaffeError(f"unknown dialect '{name}': {hint}expected one of {', '.join(names())}")


@functools.cache
def net_class(name: str) -> Any:
    """Return the class NetParameter of a dialect; raise CaffeError if the name is unknown."""
    return schema.net_class((_DIRECTORY / f"{_check(name)}.txt").read_text(encoding="utf-8"), name)


def read_net(view: memoryview, path: str, blobs: bool, dialect: str | None = None, keep_unknown: bool = False) -> Any:
    """Parse a binary net that has a dialect's numbers (None: SSD's) to a caffe_pb2.NetParameter.

    Parameters
    ----------
    view : memoryview
        The bytes of the file.
    path : str
        The file, for error messages.
    blobs : bool
        Include the weights, as messages.
    dialect : str, optional
    keep_unknown : bool
        Keep the bytes of fields that no dialect has, as Caffe does, with a warning.

    Raises
    ------
    CaffeError
        If the file is damaged, or has fields that do not exist in the dialect; the message names dialects that fit.
    """
    net = net_class(dialect)() if dialect else caffe_pb2.NetParameter()
    unknown = unknown_fields(view, net.DESCRIPTOR)
    fitting = [name for name in names() if name != dialect and _fits(view, name)] if unknown else []
    if unknown and fitting:
        raise CaffeError(_misfit(path, dialect, unknown, f"pass --dialect {' or '.join(fitting)}, or its prototxt"))
    stored = binary.read(view, net, path)
    if unknown and not keep_unknown:
        raise CaffeError(_misfit(path, dialect, unknown, "no dialect has them; pass its prototxt"))
    if unknown:
        glog.warning(_misfit(path, dialect, unknown, "no dialect has them; their bytes are kept"))
    if dialect:
        ours = caffe_pb2.NetParameter()
        transfer.copy(net, ours, path, "this schema")
        net = ours
    if blobs:
        _add_blobs(net, stored)
    return net


def _misfit(path, dialect, unknown, advice):
    numbers = f"dialect {dialect}" if dialect else "SSD's numbers"
    more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
    return f"{path}: {numbers} do not have the fields {', '.join(unknown[:8])}{more}; {advice}"


def _fits(view: memoryview, name: str) -> bool:
    return not unknown_fields(view, net_class(name).DESCRIPTOR)


def write_net(net: Any, dialect: str, where: str) -> bytes:
    """Serialize a caffe_pb2.NetParameter (V2) with a dialect's numbers; raise CaffeError for a field that it lacks."""
    theirs = net_class(dialect)()
    transfer.copy(net, theirs, where, f"dialect {dialect}")
    return theirs.SerializeToString()


def _add_blobs(net, stored):
    """Add the blobs that `binary.read` returned to the layers of a net without blobs."""
    for path, layer_blobs in stored.items():
        layer = net
        for step in path:
            layer = layer[step] if isinstance(step, int) else getattr(layer, step)
        for blob in layer_blobs:
            pieces = blob_format.encode(blob.data, blob.diff)
            layer.blobs.add().MergeFromString(b"".join(bytes(piece) for piece in pieces))
