"""The one reader of image files: a bound on bytes and pixels, whole files only. It ships to the board (Python 3.7)."""

from __future__ import annotations

import os
import stat

import cv2
import numpy as np

from caffe.device.image_header import image_size, jpeg_is_whole
from caffe.errors import CaffeError
from caffe.utils.input_file import shown

MOST_BYTES = 1 << 30  # of a file
LIMIT = "CAFFE_MAX_MEGAPIXELS"  # the environment variable that raises the limit
_FORMATS = "JPEG, PNG, BMP, WebP, TIFF ..."


class ImageError(CaffeError):
    """An image that is not there, is none, is cut short, or is larger than the limit."""


def most_pixels():
    """How many pixels an image may have: 100 million, or what the environment says."""
    text = os.environ.get(LIMIT, "") or "100"
    try:
        return int(float(text) * 1e6)
    except (ValueError, OverflowError):
        raise CaffeError("%s must be a number of megapixels, received %r" % (LIMIT, text)) from None


def read_image(path, flags=cv2.IMREAD_COLOR):
    """The image in the file `path` (any name that the system allows) as cv2.imread gives it; ImageError."""
    return decode_image(read_bytes(path), flags, shown(path))


def read_bytes(path):
    """The bytes of the regular file `path`; ImageError where there is none, or one beyond every image."""
    try:
        with open(path, "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ImageError("%s: this is no file, but a device or a pipe" % shown(path))
            if facts.st_size > MOST_BYTES:
                raise ImageError("%s: %d bytes; an image has at most %d" % (shown(path), facts.st_size, MOST_BYTES))
            return stream.read(facts.st_size + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ImageError("%s: %s" % (shown(path), getattr(error, "strerror", None) or error)) from None


def decode_image(data, flags=cv2.IMREAD_COLOR, name=""):
    """The image in the bytes `data` as cv2.imdecode gives it; ImageError, which begins with `name`."""
    data = bytes(data)
    name = name + ": " if name else ""
    size = image_size(data)
    if size is None:
        raise ImageError("%sthis is not an image that OpenCV can read (%s), or cut short" % (name, _FORMATS))
    width, height = size
    if width * height > most_pixels():
        raise ImageError(
            "%s%d x %d pixels are more than the limit of %g megapixels; %s=N raises it"
            % (name, width, height, most_pixels() / 1e6, LIMIT)
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or (data[:2] == b"\xff\xd8" and not jpeg_is_whole(data)):
        raise ImageError("%sthis is not an image that OpenCV can read (%s), or cut short" % (name, _FORMATS))
    return image


def check_name(path):
    """Raise ImageError for a name that is not UTF-8: OpenCV's own file functions crash on it."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ImageError("%s: its name is not UTF-8, which OpenCV needs here: rename it" % shown(path)) from None
