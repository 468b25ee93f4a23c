"""Archives that are hostile, broken, too large or odd; and good ones of every kind."""

import contextlib
import io
import os
import random
import tarfile
import zipfile

import pytest

from agegender.errors import AgeGenderError
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


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpack(path, folder, **bounds):
    os.makedirs(folder, exist_ok=True)
    names = safe_extract.unpack(path, folder, lambda name: name.endswith(".jpg"), **bounds)
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


HOSTILE = [
    (("../a.jpg", b"x"), "leads out of the folder"),
    (("UTKFace/../../a.jpg", b"x"), "leads out of the folder"),
    (("..\\a.jpg", b"x"), "leads out of the folder"),
    (("/tmp/a.jpg", b"x"), "has an absolute path"),
    (("C:\\a.jpg", b"x"), "has an absolute path"),
    (special("a.jpg", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
    (special("a.jpg", tarfile.LNKTYPE, "/etc/passwd"), "is a link"),
    (special("folder", tarfile.SYMTYPE, "/tmp"), "is a link"),
    (special("a.jpg", tarfile.CHRTYPE), "is a device"),
    (special("a.jpg", tarfile.FIFOTYPE), "is a device"),
    (("../not-wanted.txt", b"x"), "leads out of the folder"),
]


@pytest.mark.parametrize("member, text", HOSTILE)
def test_a_hostile_member_condemns_the_archive(tmp_path, member, text):
    path = tar(tmp_path / "a.tar.gz", [("b.jpg", b"good"), member])
    with pytest.raises(AgeGenderError, match=text + "; such an archive is not unpacked"):
        unpack(path, tmp_path / "deep" / "out")
    assert set(os.listdir(tmp_path / "deep")) == {"out"} and set(os.listdir(tmp_path)) == {"a.tar.gz", "deep"}


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(info, "/etc/passwd")
    with pytest.raises(AgeGenderError, match="is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_bomb_is_stopped_before_it_is_written(tmp_path):
    path = tar(tmp_path / "bomb.tar.gz", [("a.jpg", bytes(3_000_000))])
    assert path.stat().st_size < 10_000
    with pytest.raises(AgeGenderError, match="more than 1000000 bytes unpacked"):
        unpack(path, tmp_path / "out", most_bytes=1_000_000)
    assert os.listdir(tmp_path / "out") == []


def test_a_zip_whose_sizes_lie_is_stopped(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.jpg", bytes(3_000_000))
    data = (tmp_path / "a.zip").read_bytes().replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(AgeGenderError):
        unpack(tmp_path / "a.zip", tmp_path / "out", most_bytes=1_000_000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1_000_000


def test_too_many_members(tmp_path):
    path = tar(tmp_path / "a.tar.gz", [("%d.txt" % k, b"") for k in range(12)])
    with pytest.raises(AgeGenderError, match="more than 10 members"):
        unpack(path, tmp_path / "out", most_members=10)


def test_a_header_of_absurd_length_is_not_read(tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(AgeGenderError, match="a header of 8589934592 bytes"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>no archive</html>", b"\x1f\x8b junk", b"BZhjunk", b"\xfd7zXZ\0junk", b"PK\x03\x04junk"],
)
def test_no_archive_is_told(tmp_path, data):
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(AgeGenderError, match="a.tar.gz: "):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_a_truncated_archive_is_told(tmp_path):
    path = tar(tmp_path / "a.tar.gz", [("a.jpg", os.urandom(50_000)), ("b.jpg", os.urandom(50_000))])
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(AgeGenderError, match="a.tar.gz: "):
        unpack(path, tmp_path / "out")


def test_the_same_name_twice(tmp_path):
    twice = tar(tmp_path / "a.tar.gz", [("x/a.jpg", b"same"), ("y/a.jpg", b"same")])
    assert unpack(twice, tmp_path / "out")[1] == {"a.jpg": b"same"}
    differ = tar(tmp_path / "b.tar.gz", [("x/a.jpg", b"one"), ("y/a.jpg", b"two")])
    with pytest.raises(AgeGenderError, match="its name occurs twice with different bytes"):
        unpack(differ, tmp_path / "other")


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_lead_on_to_headers_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("h")
    info.type, info.size = kind, 11
    header = info.tobuf(tarfile.USTAR_FORMAT) + b"11 a=bcdef\n".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(header * 3000)
    with pytest.raises(AgeGenderError, match="broken or no archive"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("at, value", [(8, 9), (8, 99), (4, 80)], ids=["Deflate64", "method 99", "version 8.0"])
def test_a_zip_that_python_cannot_unpack_is_named(tmp_path, at, value):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.jpg", b"x" * 1000)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[at] = value
    data[data.index(b"PK\x01\x02") + at + 2] = value
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(AgeGenderError, match="pack it again|broken or no archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", [b"f\xe4ce.jpg", b"new\nline.jpg", b"\x1b[31mred.jpg"])
def test_a_name_that_cannot_be_printed_condemns_the_archive(tmp_path, name):
    path = tar(tmp_path / "a.tar", [(name.decode("utf-8", "surrogateescape"), b"x")], "w:")
    with pytest.raises(AgeGenderError, match="not printable UTF-8"):
        unpack(path, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_damage_anywhere_ends_in_one_error(tmp_path, kind):
    path = tmp_path / ("a." + kind)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in GOOD:
                out.writestr(name, data)
    else:
        tar(path, GOOD, "w:gz" if kind == "tar.gz" else "w:")
    whole, rng = path.read_bytes(), random.Random(5)
    for number in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(AgeGenderError):
            unpack(path, tmp_path / f"out{number}")
