"""Extraction of valid archives of every kind, and of malicious, corrupt and oversized ones."""

import contextlib
import gzip
import io
import os
import random
import tarfile
import zipfile

import pytest

from caffe.errors import CaffeError
from caffe.utils import safe_extract

GOOD = [("UTKFace/a.jpg", b"first"), ("UTKFace/deeper/b.jpg", b"second"), ("UTKFace/readme.txt", b"text")]


def tar(path, members, mode="w:gz"):
    """members: (name, bytes) or a TarInfo."""
    with tarfile.open(path, mode) as out:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                out.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            out.addfile(info, io.BytesIO(member[1]))
    return path


def special_member(name, member_type, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = member_type, target
    return info


def unpack(path, folder, **limits):
    os.makedirs(folder, exist_ok=True)
    names = safe_extract.unpack(path, folder, lambda name: name.endswith(".jpg"), **limits)
    return names, {name: open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))}


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w:"])
def test_tar_of_every_compression(tmp_path, mode):
    names, files = unpack(tar(tmp_path / "a", GOOD, mode), tmp_path / "out")
    assert names == ["a.jpg", "b.jpg", "readme.txt"]
    assert files == {"a.jpg": b"first", "b.jpg": b"second"}


def test_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("UTKFace/", b"")
        for name, data in GOOD:
            out.writestr(name, data)
    assert unpack(tmp_path / "a.zip", tmp_path / "out")[1] == {"a.jpg": b"first", "b.jpg": b"second"}


MALICIOUS = [
    (("../a.jpg", b"x"), "is outside the target folder"),
    (("UTKFace/../../a.jpg", b"x"), "is outside the target folder"),
    (("..\\a.jpg", b"x"), "is outside the target folder"),
    (("/tmp/a.jpg", b"x"), "has an absolute path"),
    (("C:\\a.jpg", b"x"), "has an absolute path"),
    (special_member("a.jpg", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
    (special_member("a.jpg", tarfile.LNKTYPE, "/etc/passwd"), "is a link"),
    (special_member("folder", tarfile.SYMTYPE, "/tmp"), "is a link"),
    (special_member("a.jpg", tarfile.CHRTYPE), "is a device"),
    (special_member("a.jpg", tarfile.FIFOTYPE), "is a device"),
    (("../not-selected.txt", b"x"), "is outside the target folder"),
]


@pytest.mark.parametrize("member, text", MALICIOUS)
def test_malicious_member_rejects_the_archive(tmp_path, member, text):
    path = tar(tmp_path / "a.tar.gz", [("b.jpg", b"good"), member])
    with pytest.raises(CaffeError, match=text + "; the archive is not extracted"):
        unpack(path, tmp_path / "deep" / "out")
    assert set(os.listdir(tmp_path / "deep")) == {"out"} and set(os.listdir(tmp_path)) == {"a.tar.gz", "deep"}


def test_link_in_a_zip_is_rejected(tmp_path):
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(info, "/etc/passwd")
    with pytest.raises(CaffeError, match="is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_decompression_bomb_is_stopped_before_it_is_written(tmp_path):
    path = tar(tmp_path / "bomb.tar.gz", [("a.jpg", bytes(3_000_000))])
    assert path.stat().st_size < 10_000
    with pytest.raises(CaffeError, match="more than 1000000 bytes uncompressed"):
        unpack(path, tmp_path / "out", max_bytes=1_000_000)
    assert os.listdir(tmp_path / "out") == []


def test_zip_with_wrong_sizes_is_stopped(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.jpg", bytes(3_000_000))
    data = (tmp_path / "a.zip").read_bytes().replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(CaffeError):
        unpack(tmp_path / "a.zip", tmp_path / "out", max_bytes=1_000_000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1_000_000


def test_too_many_members(tmp_path):
    path = tar(tmp_path / "a.tar.gz", [(f"{k}.txt", b"") for k in range(12)])
    with pytest.raises(CaffeError, match="more than 10 members"):
        unpack(path, tmp_path / "out", max_members=10)


def test_oversized_header_is_not_read(tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(CaffeError, match="a header of 8589934592 bytes"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>not an archive</html>", b"\x1f\x8b junk", b"BZhjunk", b"\xfd7zXZ\0junk", b"PK\x03\x04junk"],
)
def test_file_that_is_not_an_archive(tmp_path, data):
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(CaffeError, match="a.tar.gz: "):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_truncated_archive(tmp_path):
    path = tar(tmp_path / "a.tar.gz", [("a.jpg", os.urandom(50_000)), ("b.jpg", os.urandom(50_000))])
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(CaffeError, match="a.tar.gz: "):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("damage", ["checksum", "contents", "zeros behind"])
def test_the_checksum_behind_the_last_member_is_read(tmp_path, damage):
    member = tarfile.TarInfo("a.jpg")
    member.size = 3000
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(member, io.BytesIO(bytes(range(250)) * 12))
    if damage == "zeros behind":
        packed = gzip.compress(plain.getvalue() + bytes(20 << 20))
    else:
        packed = bytearray(gzip.compress(plain.getvalue(), 0))  # stored: a changed byte does not disturb the stream
        packed[-8 if damage == "checksum" else 2000] ^= 1
    (tmp_path / "x.tar.gz").write_bytes(packed)
    (tmp_path / "out").mkdir()
    with pytest.raises(CaffeError, match="after the last member" if damage == "zeros behind" else "CRC check failed"):
        safe_extract.unpack(str(tmp_path / "x.tar.gz"), str(tmp_path / "out"), bool)


def test_duplicate_file_name(tmp_path):
    equal = tar(tmp_path / "a.tar.gz", [("x/a.jpg", b"same"), ("y/a.jpg", b"same")])
    assert unpack(equal, tmp_path / "out")[1] == {"a.jpg": b"same"}
    different = tar(tmp_path / "b.tar.gz", [("x/a.jpg", b"one"), ("y/a.jpg", b"two")])
    with pytest.raises(CaffeError, match="the file name occurs twice with different contents"):
        unpack(different, tmp_path / "other")


@pytest.mark.parametrize("header_type", [tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_endless_chain_of_headers(tmp_path, header_type):
    info = tarfile.TarInfo("h")
    info.type, info.size = header_type, 11
    header = info.tobuf(tarfile.USTAR_FORMAT) + b"11 a=bcdef\n".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(header * 3000)
    with pytest.raises(CaffeError, match="corrupt or not an archive"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("at, value", [(8, 9), (8, 99), (4, 80)], ids=["Deflate64", "method 99", "version 8.0"])
def test_unsupported_zip(tmp_path, at, value):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.jpg", b"x" * 1000)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[at] = value
    data[data.index(b"PK\x01\x02") + at + 2] = value
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(CaffeError, match="pack it again|corrupt or not an archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", [b"f\xe4ce.jpg", b"new\nline.jpg", b"\x1b[31mred.jpg"])
def test_unprintable_file_name(tmp_path, name):
    path = tar(tmp_path / "a.tar", [(name.decode("utf-8", "surrogateescape"), b"x")], "w:")
    with pytest.raises(CaffeError, match="not printable UTF-8"):
        unpack(path, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("extension", ["tar", "tar.gz", "zip"])
def test_damage_raises_caffe_error(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    if extension == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in GOOD:
                out.writestr(name, data)
    else:
        tar(path, GOOD, "w:gz" if extension == "tar.gz" else "w:")
    valid, rng = path.read_bytes(), random.Random(5)
    for number in range(150):
        damaged = bytearray(valid)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(valid))] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(CaffeError):
            unpack(path, tmp_path / f"out{number}")
