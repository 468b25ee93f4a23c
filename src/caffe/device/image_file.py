"""Read image files with limits on bytes and pixels; reject truncated files. Runs on the device (Python 3.7)."""

from __future__ import annotations

import os
import stat

import numpy as np

from caffe.device.image_header import image_size, jpeg_is_complete
from caffe.errors import CaffeError
from caffe.utils.input_file import shown

_COLOR = 1  # cv2.IMREAD_COLOR; OpenCV is imported with the first image
MAX_BYTES = 1 << 30  # of a file
LIMIT = "CAFFE_MAX_MEGAPIXELS"  # environment variable
_FORMATS = "JPEG, PNG, BMP, WebP, TIFF ..."


class ImageError(CaffeError):
    """An image that is missing, truncated or larger than the limit, or a file that is not an image."""


def max_pixels() -> int:
    """Return the maximum number of pixels of an image: CAFFE_MAX_MEGAPIXELS, or 100 million by default."""
    text = os.environ.get(LIMIT, "") or "100"
    try:
        return int(float(text) * 1e6)
    except (ValueError, OverflowError):
        raise CaffeError(f"{LIMIT}: expected a number of megapixels, received {text!r}") from None


def read_image(path: str | bytes | os.PathLike, flags: int = _COLOR) -> np.ndarray:
    """Read an image like cv2.imread, but from any path.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The file; its name need not be UTF-8.
    flags : int
        As for cv2.imread.

    Returns
    -------
    numpy.ndarray
        (height, width, 3) in BGR, uint8, with the default flags.

    Raises
    ------
    ImageError
        If the file is missing, too large, truncated or not an image.
    """
    return decode_image(read_bytes(path), flags, shown(path))


def read_bytes(path: str | bytes | os.PathLike) -> bytes:
    """Return the bytes of a regular file; raises ImageError if it is missing, another kind of file or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # half the system calls of `open`
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
                raise ImageError(f"{shown(path)}: not a regular file but {kind}")
            if status.st_size > MAX_BYTES:
                raise ImageError(f"{shown(path)}: {status.st_size} bytes are more than the limit of {MAX_BYTES}")
            data = os.read(handle, status.st_size)
            more = data
            while more and len(data) < status.st_size:
                more = os.read(handle, status.st_size - len(data))
                data += more
            return data
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ImageError(f"{shown(path)}: {getattr(error, 'strerror', None) or error}") from None


def decode_image(data: bytes | memoryview | np.ndarray, flags: int = _COLOR, name: str = "") -> np.ndarray:
    """Decode an image like cv2.imdecode; raises ImageError with `name` at the start of the message."""
    import cv2

    data = bytes(data)
    name = name + ": " if name else ""
    size = image_size(data)
    if size is None:
        raise ImageError(f"{name}truncated or not an image that OpenCV can read ({_FORMATS})")
    width, height = size
    if width * height > max_pixels():
        raise ImageError(
            f"{name}{width} x {height} pixels are more than the limit of {max_pixels() / 1e6:g} megapixels; "
            f"set {LIMIT} to raise it"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or (data[:2] == b"\xff\xd8" and not jpeg_is_complete(data)):
        raise ImageError(f"{name}truncated or not an image that OpenCV can read ({_FORMATS})")
    return image


def check_name(path: str | os.PathLike) -> None:
    """Raise ImageError for a name that is not UTF-8: OpenCV's file functions crash on it."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ImageError(f"{shown(path)}: the name is not UTF-8, which OpenCV needs here: rename the file") from None
