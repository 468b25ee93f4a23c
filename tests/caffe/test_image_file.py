"""Image files: every format's size from its header, a bound on pixels, no image that is cut short, any file name."""

import contextlib
import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from caffe.device.image_file import LIMIT, ImageError, check_name, decode_image, read_image, shown
from caffe.device.image_header import image_size, jpeg_is_whole
from caffe.errors import CaffeError

WHOLE = (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm", ".pgm", ".pbm", ".gif", ".jp2", ".ras", ".pam")
FLOATS = (".hdr", ".pfm")


def encoded(kind, height=37, width=53):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8), (9, 9), 3)
    image = image.astype(np.float32) if kind in FLOATS else image[..., 0] if kind in (".pgm", ".pbm") else image
    return cv2.imencode(kind, image)[1].tobytes()


def png(width, height):
    """The header of a PNG whose pixels are all 0, and so few bytes of them that any size is small."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", WHOLE + FLOATS)
def test_the_size_in_the_header_is_that_of_the_decoded_image(kind):
    data = encoded(kind)
    assert image_size(data) == (53, 37)
    assert decode_image(data, cv2.IMREAD_UNCHANGED).shape[:2] == (37, 53)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_an_image_that_is_cut_short_is_refused(kind, share):
    data = encoded(kind)
    with pytest.raises(ImageError, match="cut short"):
        decode_image(data[: min(int(len(data) * share), len(data) - 1)])


def test_the_end_of_a_jpeg_is_looked_for_behind_its_scan():
    data = encoded(".jpg")
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    with_thumbnail = data[:2] + thumbnail + data[2:]
    assert jpeg_is_whole(data) and jpeg_is_whole(with_thumbnail) and jpeg_is_whole(data + b"trailing bytes")
    assert image_size(with_thumbnail) == (53, 37)
    for cut in (10, len(data) // 2, len(data) - 2):
        assert not jpeg_is_whole(data[:cut])
        assert not jpeg_is_whole(with_thumbnail[: -len(data) + cut])


@pytest.mark.parametrize("data", [png(30000, 30000), png(2**31 - 1, 2**31 - 1), png(1, 100_000_001)])
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *args: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="more than the limit of 100 megapixels"):
        decode_image(data)


def test_a_bmp_with_a_negative_height_counts(monkeypatch):
    data = b"BM" + bytes(12) + struct.pack("<Iii", 40, 20000, -20000) + bytes(100)
    with pytest.raises(ImageError, match="20000 x 20000"):
        decode_image(data)


def test_the_limit_can_be_raised_and_lowered(monkeypatch):
    monkeypatch.setenv(LIMIT, "0.001")
    with pytest.raises(ImageError, match="more than the limit of 0.001 megapixels"):
        decode_image(encoded(".png"))
    monkeypatch.setenv(LIMIT, "0.002")
    assert decode_image(encoded(".png")).shape == (37, 53, 3)
    monkeypatch.setenv(LIMIT, "many")
    with pytest.raises(CaffeError, match="must be a number"):
        decode_image(encoded(".png"))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"BM", b"P6", b"II*\0", b"text", bytes(1000), b"RIFF0000WEBPVP8X"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ImageError, match="not an image that OpenCV can read"):
        decode_image(data)


def test_any_file_name_is_read(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"f\xe4ce.png")
    with open(path, "wb") as stream:
        stream.write(encoded(".png"))
    assert read_image(os.fsdecode(path)).shape == (37, 53, 3)
    assert shown(os.fsdecode(path)).endswith("f\\xe4ce.png")
    with pytest.raises(ImageError, match="not UTF-8"):
        check_name(os.fsdecode(path))


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        ("/dev/zero", "device"),
        (tmp_path, "directory"),
        (tmp_path / "none", "No such"),
        ("a\0b", "null"),
    ):
        with pytest.raises(ImageError, match=why):
            read_image(path)


def test_damaged_headers_end_in_an_image_error():
    rng = np.random.default_rng(1)
    for kind in WHOLE + FLOATS:
        data = bytearray(encoded(kind))
        for _ in range(60):
            damaged = bytearray(data)
            for at in rng.integers(0, min(len(data), 200), 3):
                damaged[at] = rng.integers(256)
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(damaged)).size <= 3 * 100_000_000
