"""Image files: size from the header, limit of pixels, truncated files, file names of any bytes."""

import contextlib
import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from caffe.device.image_file import LIMIT, ImageError, check_name, decode_image, read_image, shown
from caffe.device.image_header import image_size, jpeg_is_complete
from caffe.errors import CaffeError

FORMATS = (".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm", ".pgm", ".pbm", ".gif", ".jp2", ".ras", ".pam")
FLOATS = (".hdr", ".pfm")


def encoded(extension, height=37, width=53):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8), (9, 9), 3)
    image = (
        image.astype(np.float32) if extension in FLOATS else image[..., 0] if extension in (".pgm", ".pbm") else image
    )
    return cv2.imencode(extension, image)[1].tobytes()


def png(width, height):
    """A small PNG file whose header declares any size."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("extension", FORMATS + FLOATS)
def test_size_of_the_header_is_that_of_the_decoded_image(extension):
    data = encoded(extension)
    assert image_size(data) == (53, 37)
    assert decode_image(data, cv2.IMREAD_UNCHANGED).shape[:2] == (37, 53)


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated_images_raise(extension, share):
    data = encoded(extension)
    with pytest.raises(ImageError, match="truncated"):
        decode_image(data[: min(int(len(data) * share), len(data) - 1)])


def test_end_of_a_jpeg_follows_its_scan():
    data = encoded(".jpg")
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    with_thumbnail = data[:2] + thumbnail + data[2:]
    assert jpeg_is_complete(data) and jpeg_is_complete(with_thumbnail) and jpeg_is_complete(data + b"trailing bytes")
    assert image_size(with_thumbnail) == (53, 37)
    for cut in (10, len(data) // 2, len(data) - 2):
        assert not jpeg_is_complete(data[:cut])
        assert not jpeg_is_complete(with_thumbnail[: -len(data) + cut])


@pytest.mark.parametrize("data", [png(30000, 30000), png(2**31 - 1, 2**31 - 1), png(1, 100_000_001)])
def test_limit_of_pixels_is_checked_before_decoding(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *args: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="more than the limit of 100 megapixels"):
        decode_image(data)


def test_bmp_with_a_negative_height(monkeypatch):
    data = b"BM" + bytes(12) + struct.pack("<Iii", 40, 20000, -20000) + bytes(100)
    with pytest.raises(ImageError, match="20000 x 20000"):
        decode_image(data)


def test_limit_of_the_environment(monkeypatch):
    monkeypatch.setenv(LIMIT, "0.001")
    with pytest.raises(ImageError, match="more than the limit of 0.001 megapixels"):
        decode_image(encoded(".png"))
    monkeypatch.setenv(LIMIT, "0.002")
    assert decode_image(encoded(".png")).shape == (37, 53, 3)
    monkeypatch.setenv(LIMIT, "many")
    with pytest.raises(CaffeError, match="expected a number"):
        decode_image(encoded(".png"))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"BM", b"P6", b"II*\0", b"text", bytes(1000), b"RIFF0000WEBPVP8X"])
def test_other_data_raises(data):
    with pytest.raises(ImageError, match="not an image that OpenCV can read"):
        decode_image(data)


def test_file_name_of_any_bytes(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"f\xe4ce.png")
    with open(path, "wb") as stream:
        stream.write(encoded(".png"))
    assert read_image(os.fsdecode(path)).shape == (37, 53, 3)
    assert shown(os.fsdecode(path)).endswith("f\\xe4ce.png")
    with pytest.raises(ImageError, match="not UTF-8"):
        check_name(os.fsdecode(path))


def test_paths_other_than_files_raise(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        ("/dev/zero", "device"),
        (tmp_path, "directory"),
        (tmp_path / "none", "No such"),
        ("a\0b", "null"),
    ):
        with pytest.raises(ImageError, match=why):
            read_image(path)


def test_damaged_headers_raise_image_error():
    rng = np.random.default_rng(1)
    for extension in FORMATS + FLOATS:
        data = bytearray(encoded(extension))
        for _ in range(60):
            damaged = bytearray(data)
            for at in rng.integers(0, min(len(data), 200), 3):
                damaged[at] = rng.integers(256)
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(damaged)).size <= 3 * 100_000_000
