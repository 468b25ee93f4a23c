"""Datum, the record of Caffe's databases: bytes to an array and its label, and back.

The message is small and read fifty times a step, hence a reader and a writer of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from caffe.data import wire_format
from caffe.device.image_file import decode_image
from caffe.device.transform import planar
from caffe.errors import CaffeError

_ENCODED_FALSE, _ENCODED_TRUE = b"\x38\x00", b"\x38\x01"
_FLOAT = np.dtype([("tag", "u1"), ("value", "<f4")])
_FLOAT_TAG = 6 << 3 | wire_format.FIXED32


class _Fields:
    """A Datum's fields, the data still a view of the record."""

    __slots__ = ("channels", "height", "width", "data", "label", "floats", "encoded")

    def __init__(self, value: bytes) -> None:
        self.channels = self.height = self.width = self.label = 0
        self.data = memoryview(b"")
        self.floats: list[np.ndarray] = []
        self.encoded = False
        view = memoryview(value)
        at = 0
        while at < len(view):
            number, kind, field, after = wire_format.field(view, at)
            if number == 6:
                after = self._take_floats(view, at, kind, field, after)
            elif number in _NAMES:
                self._take(number, kind, field)
            at = after

    def _take(self, number: int, kind: int, field: wire_format.Value) -> None:
        name = _NAMES[number]
        if kind != (wire_format.BYTES if number == 4 else wire_format.VARINT):
            raise wire_format.WireError("field %s has wire type %d" % (name, kind))
        if number == 4:
            self.data = field
        elif number == 7:
            self.encoded = bool(field)
        else:
            setattr(self, name, wire_format.signed(field))

    def _take_floats(self, view: memoryview, at: int, kind: int, field: wire_format.Value, after: int) -> int:
        """float_data: Caffe writes a tag before each, so a run of them is read at once; others pack them."""
        if kind == wire_format.FIXED32:
            run = np.frombuffer(view, _FLOAT, (len(view) - at) // _FLOAT.itemsize, at)
            other = np.flatnonzero(run["tag"] != _FLOAT_TAG)
            run = run[: other[0]] if len(other) else run
            if len(run):
                self.floats.append(run["value"])
                return at + run.nbytes
        if kind not in (wire_format.BYTES, wire_format.FIXED32) or len(field) % 4:
            raise wire_format.WireError("field float_data has wire type %d" % kind)
        self.floats.append(np.frombuffer(field, "<f4"))
        return after


_NAMES = {1: "channels", 2: "height", 3: "width", 4: "data", 5: "label", 7: "encoded"}


def decode(value: bytes, force_color: bool = False, force_gray: bool = False) -> tuple[np.ndarray, int]:
    """Return ((channels, height, width) array, label) of one record.

    Raw data is a uint8 view of `value` (no copy); float_data gives float32. An encoded picture (JPEG, PNG)
    is decoded by OpenCV, blue first, as it was stored, or in colour or grey when forced. CaffeError says what
    is wrong with a record.
    """
    datum = _read(value)
    return _pixels(datum, force_color, force_gray), datum.label


def decode_labels(
    value: bytes, count: int, force_color: bool = False, force_gray: bool = False
) -> tuple[np.ndarray, list]:
    """`decode` with `count` labels: the Datum's label, then its float_data, which is free where pixels are bytes.

    Real Caffe reads such a record too, and sees its first label.
    """
    datum = _read(value)
    labels: list = [datum.label]
    if count > 1:
        if len(datum.data):
            labels += [float(value) for run in datum.floats for value in run]
        if len(labels) < count:
            raise CaffeError("%d labels are wanted, the Datum has %d (label and float_data)" % (count, len(labels)))
    return _pixels(datum, force_color, force_gray), labels[:count]


def label_of(value: bytes) -> int:
    """The label of a record; its pixels are not looked at."""
    return _read(value).label


def _read(value: bytes) -> _Fields:
    try:
        return _Fields(value)
    except wire_format.WireError as fault:
        raise CaffeError(f"not a Datum: {fault}; was this database made by convert_imageset?") from None


def _pixels(datum: _Fields, force_color: bool, force_gray: bool) -> np.ndarray:
    return _decode_picture(datum.data, force_color, force_gray) if datum.encoded else _array(datum)


def _array(datum: _Fields) -> np.ndarray:
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) <= 0:
        raise CaffeError(f"a Datum of {shape}: channels, height and width must be positive")
    if len(datum.data) or not datum.floats:
        flat = np.frombuffer(datum.data, np.uint8)
    else:
        flat = np.concatenate(datum.floats)
    if flat.size != shape[0] * shape[1] * shape[2]:
        wanted = shape[0] * shape[1] * shape[2]
        raise CaffeError("a Datum of %dx%dx%d wants %d values, received %d" % (*shape, wanted, flat.size))
    return flat.reshape(shape)


def _decode_picture(data: memoryview, force_color: bool, force_gray: bool) -> np.ndarray:
    if force_color and force_gray:
        raise CaffeError("force_color and force_gray exclude each other")
    how = cv2.IMREAD_COLOR if force_color else cv2.IMREAD_GRAYSCALE if force_gray else cv2.IMREAD_UNCHANGED
    picture = decode_image(data, how, "an encoded Datum of %d bytes" % len(data))
    if picture.dtype != np.uint8:
        raise CaffeError(f"an encoded Datum with {picture.dtype} pixels; Caffe reads 8 bits a channel only")
    return planar(picture)


def _dims(channels: int, height: int, width: int) -> bytes:
    return (
        b"\x08"
        + wire_format.varint(channels)
        + b"\x10"
        + wire_format.varint(height)
        + b"\x18"
        + wire_format.varint(width)
    )


def header(channels: int, height: int, width: int) -> bytes:
    """Bytes of a raw Datum before its data."""
    return _dims(channels, height, width) + b"\x22" + wire_format.varint(channels * height * width)


def trailer(label: int, encoded: bool = False) -> bytes:
    """Bytes of a Datum after its data: the label and `encoded`, which Caffe writes even when false."""
    if not -(2**31) <= label < 2**31:
        raise CaffeError("label %d does not fit a Datum: an int32 is allowed" % label)
    return b"\x28" + wire_format.varint(label) + (_ENCODED_TRUE if encoded else _ENCODED_FALSE)


def encode(array: np.ndarray | None, label: int, encoded: bytes | None = None, more: Sequence[float] = ()) -> bytes:
    """Serialize as Caffe does: a uint8 or float (C, H, W) array, or an `encoded` picture file.

    `more` labels go to float_data, behind the pixels' bytes (see `decode_labels`).
    """
    if encoded is not None:
        return b"\x22" + wire_format.varint(len(encoded)) + bytes(encoded) + trailer(label, True) + _floats(more)
    if array is None or array.ndim != 3 or not array.size:
        raise CaffeError(f"a Datum holds channels x height x width, received {None if array is None else array.shape}")
    if array.dtype == np.uint8:
        return header(*array.shape) + np.ascontiguousarray(array).tobytes() + trailer(label) + _floats(more)
    if array.dtype.kind != "f" or len(more):
        raise CaffeError(f"a Datum holds uint8 values and labels, or float values; received {array.dtype}")
    return _dims(*array.shape) + trailer(label)[:-2] + _floats(array.reshape(-1))


def _floats(values: Sequence[float] | np.ndarray) -> bytes:
    floats = np.empty(len(values), _FLOAT)
    floats["tag"], floats["value"] = _FLOAT_TAG, values
    return floats.tobytes()
