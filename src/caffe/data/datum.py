"""Datum, the record of Caffe's databases: parse it to an array and labels, and serialize it.

Training reads a batch of these small messages per iteration, so this module parses them without protobuf.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from caffe.device.image_file import decode_image
from caffe.device.transform import planar
from caffe.errors import CaffeError
from caffe.proto import wire_format

_ENCODED_FALSE, _ENCODED_TRUE = b"\x38\x00", b"\x38\x01"
_TAGGED_FLOAT = np.dtype([("tag", "u1"), ("value", "<f4")])
_FLOAT_TAG = 6 << 3 | wire_format.FIXED32
LARGEST_IN_BATCH = 1 << 14  # bytes of a record up to which reading a batch at once is faster


class _Fields:
    """Fields of a Datum; `data` is a view of the record."""

    __slots__ = ("channels", "height", "width", "data", "label", "floats", "encoded")

    def __init__(self, value: bytes) -> None:
        self.channels = self.height = self.width = self.label = 0
        self.data = memoryview(b"")
        self.floats: list[np.ndarray] = []
        self.encoded = False
        view = memoryview(value)
        at = 0
        while at < len(view):
            number, wire_type, field, after = wire_format.field(view, at)
            if number == 6:
                after = self._set_floats(view, at, wire_type, field, after)
            elif number in _NAMES:
                self._set(number, wire_type, field)
            at = after

    def _set(self, number: int, wire_type: int, field: wire_format.Value) -> None:
        name = _NAMES[number]
        if wire_type != (wire_format.BYTES if number == 4 else wire_format.VARINT):
            raise wire_format.WireError(f"field {name} has wire type {wire_type}")
        if number == 4:
            self.data = field
        elif number == 7:
            self.encoded = bool(field)
        else:
            setattr(self, name, wire_format.signed(field))

    def _set_floats(self, view: memoryview, at: int, wire_type: int, field: wire_format.Value, after: int) -> int:
        """Read float_data, packed or not; Caffe tags every value, so a run of tagged values is read at once."""
        if wire_type == wire_format.FIXED32:
            run = np.frombuffer(view, _TAGGED_FLOAT, (len(view) - at) // _TAGGED_FLOAT.itemsize, at)
            other_tags = np.flatnonzero(run["tag"] != _FLOAT_TAG)
            run = run[: other_tags[0]] if len(other_tags) else run
            if len(run):
                self.floats.append(run["value"])
                return at + run.nbytes
        if wire_type not in (wire_format.BYTES, wire_format.FIXED32) or len(field) % 4:
            raise wire_format.WireError(f"field float_data has wire type {wire_type}")
        self.floats.append(np.frombuffer(field, "<f4"))
        return after


_NAMES = {1: "channels", 2: "height", 3: "width", 4: "data", 5: "label", 7: "encoded"}


def decode(value: bytes, force_color: bool = False, force_gray: bool = False) -> tuple[np.ndarray, int]:
    """Decode one record.

    Parameters
    ----------
    value : bytes
        Serialized Datum.
    force_color, force_gray : bool
        Decode encoded images to three channels or one; by default they keep their channels.

    Returns
    -------
    array : ndarray (channels, height, width)
        uint8, a view of `value` without copying, for raw data; float32 for float_data; uint8 in BGR order for encoded
        images (JPEG, PNG).
    label : int

    Raises
    ------
    CaffeError
        If the record is invalid.
    """
    datum = _read(value)
    return _pixels(datum, force_color, force_gray), datum.label


def decode_labels(
    value: bytes, count: int, force_color: bool = False, force_gray: bool = False
) -> tuple[np.ndarray, list]:
    """Decode one record with `count` labels: `label`, then float_data, which is unused if the pixels are bytes.

    Real Caffe also reads such a record, but only its first label.
    """
    datum = _read(value)
    labels: list = [datum.label]
    if count > 1:
        if len(datum.data):
            labels += [float(value) for run in datum.floats for value in run]
        if len(labels) < count:
            raise CaffeError(f"expected {count} labels, the Datum has {len(labels)} (label and float_data)")
    return _pixels(datum, force_color, force_gray), labels[:count]


def decode_batch(values: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray] | None:
    """Decode records of one label at once, faster than `decode_labels` for each.

    Returns
    -------
    arrays (N, channels, height, width) and (N,) of uint8
        Pixels and labels; or None, unless all are small records of raw pixels as `encode` writes them, of one size and
        with labels below 128.
    """
    length = len(values[0])
    if length > LARGEST_IN_BATCH or any(len(value) != length for value in values):
        return None
    try:
        datum = _read(values[0])
    except CaffeError:
        return None
    shape, size = (datum.channels, datum.height, datum.width), len(datum.data)
    if min(shape) <= 0 or size != shape[0] * shape[1] * shape[2]:
        return None
    before = header(*shape)
    begin, end = len(before), len(before) + size
    if length not in (end + 2, end + 4):  # with or without `encoded`
        return None
    block = np.frombuffer(b"".join(values), np.uint8).reshape(-1, length)
    around, labels = np.delete(block, np.s_[begin:end], 1), block[:, end + 1]
    around[:, begin + 1] = 0
    if (around != np.frombuffer(before + trailer(0)[: length - end], np.uint8)).any() or labels.max() >= 128:
        return None
    return block[:, begin:end].reshape(-1, *shape), labels


def label_of(value: bytes) -> int:
    """Return the label of a record without decoding its pixels."""
    return _read(value).label


def _read(value: bytes) -> _Fields:
    try:
        return _Fields(value)
    except wire_format.WireError as error:
        raise CaffeError(f"not a Datum: {error}; was this database created by convert_imageset?") from None


def _pixels(datum: _Fields, force_color: bool, force_gray: bool) -> np.ndarray:
    return _decode_encoded(datum.data, force_color, force_gray) if datum.encoded else _array(datum)


def _array(datum: _Fields) -> np.ndarray:
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) <= 0:
        raise CaffeError(f"a Datum of shape {shape}: channels, height and width must be positive")
    if len(datum.data) or not datum.floats:
        flat = np.frombuffer(datum.data, np.uint8)
    else:
        flat = np.concatenate(datum.floats)
    expected = shape[0] * shape[1] * shape[2]
    if flat.size != expected:
        raise CaffeError(f"a Datum of {shape[0]}x{shape[1]}x{shape[2]} needs {expected} values, received {flat.size}")
    return flat.reshape(shape)


def _decode_encoded(data: memoryview, force_color: bool, force_gray: bool) -> np.ndarray:
    if force_color and force_gray:
        raise CaffeError("force_color and force_gray exclude each other")
    flags = cv2.IMREAD_COLOR if force_color else cv2.IMREAD_GRAYSCALE if force_gray else cv2.IMREAD_UNCHANGED
    image = decode_image(data, flags, f"an encoded Datum of {len(data)} bytes")
    if image.dtype != np.uint8:
        raise CaffeError(f"an encoded Datum with {image.dtype} pixels; Caffe only reads 8 bits per channel")
    return planar(image)


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
    """Return the bytes of a raw Datum before its data."""
    return _dims(channels, height, width) + b"\x22" + wire_format.varint(channels * height * width)


def trailer(label: int, encoded: bool = False) -> bytes:
    """Return the bytes of a Datum after its data: the label and `encoded`, which Caffe writes even if it is false."""
    if not -(2**31) <= label < 2**31:
        raise CaffeError(f"label {label} does not fit the int32 field of a Datum")
    return b"\x28" + wire_format.varint(label) + (_ENCODED_TRUE if encoded else _ENCODED_FALSE)


def encode(array: np.ndarray | None, label: int, encoded: bytes | None = None, more: Sequence[float] = ()) -> bytes:
    """Serialize a Datum as Caffe does.

    Parameters
    ----------
    array : uint8 or float array (C, H, W), or None
        Pixels; ignored if `encoded` is set.
    label : int
    encoded : bytes, optional
        An encoded image file to store instead of pixels.
    more : sequence of float
        Further labels, stored in float_data (see `decode_labels`).

    Returns
    -------
    bytes

    Raises
    ------
    CaffeError
        If the array or the label cannot be stored.
    """
    if encoded is not None:
        return b"\x22" + wire_format.varint(len(encoded)) + bytes(encoded) + trailer(label, True) + _floats(more)
    if array is None or array.ndim != 3 or not array.size:
        received = None if array is None else array.shape
        raise CaffeError(f"a Datum needs channels x height x width, received {received}")
    if array.dtype == np.uint8:
        return header(*array.shape) + np.ascontiguousarray(array).tobytes() + trailer(label) + _floats(more)
    if array.dtype.kind != "f" or len(more):
        raise CaffeError(f"a Datum takes uint8 values and labels, or float values without; received {array.dtype}")
    return _dims(*array.shape) + trailer(label)[:-2] + _floats(array.reshape(-1))


def _floats(values: Sequence[float] | np.ndarray) -> bytes:
    floats = np.empty(len(values), _TAGGED_FLOAT)
    floats["tag"], floats["value"] = _FLOAT_TAG, values
    return floats.tobytes()
