"""List files: valid lines as in Caffe, and errors with their line numbers."""

from pathlib import Path

import pytest

from caffe.data import listfile
from caffe.errors import CaffeError

GOLDEN = Path(__file__).parents[2] / "golden" / "tools" / "list.txt"


def read(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return listfile.read(path)


def test_golden_list():
    entries = listfile.read(GOLDEN)
    assert len(entries) == 19
    assert entries[3] == ("images/03 pic.jpg", 3, 4)


def test_unusual_valid_lines(tmp_path):
    entries = read(tmp_path, b"a b  c.jpg 7\r\n /x.png -1\n\xff\xe9.jpg +3")
    assert [entry[:2] for entry in entries[:2]] == [("a b  c.jpg", 7), (" /x.png", -1)]
    assert entries[2].path.encode("utf-8", "surrogateescape") == b"\xff\xe9.jpg" and entries[2].label == 3


def test_all_errors_are_reported_together(tmp_path):
    text = "a.jpg 1\n\nb.jpg\nc.jpg x\nd.jpg 99999999999\n 5\nz\0.jpg 1\ne.jpg 1.5\ng.jpg 4\n"
    with pytest.raises(CaffeError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith("7 invalid lines")
    for line, words in [
        (2, "empty line"),
        (3, "no space"),
        (4, "'x'"),
        (5, "32 bits"),
        (6, "no path"),
        (7, "zero byte"),
        (8, "'1.5'"),
    ]:
        assert f"list.txt:{line}: " in message and words in message
    assert "list.txt:9" not in message


def test_many_errors_are_counted(tmp_path):
    with pytest.raises(CaffeError, match="(?s)57 invalid lines.*list.txt:20: .*and 37 more"):
        read(tmp_path, "x\n" * 57)


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_list(tmp_path, text):
    with pytest.raises(CaffeError, match="empty"):
        read(tmp_path, text)


def test_missing_list(tmp_path):
    with pytest.raises(CaffeError, match="No such file"):
        listfile.read(tmp_path / "none")


def test_label_of_thousands_of_digits(tmp_path):
    (tmp_path / "list.txt").write_text(f"a.jpg {'9' * 9000}\n")
    with pytest.raises(CaffeError, match="does not fit into 32 bits") as caught:
        listfile.read(tmp_path / "list.txt")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("line", ["a.jpg 0 ", "a.jpg 0  ", "b c.jpg 1 \r"])
def test_a_trailing_blank_is_named(tmp_path, line):
    (tmp_path / "list").write_bytes(line.encode() + b"\n")
    with pytest.raises(CaffeError, match="list:1: the line ends in a blank; remove it"):
        listfile.read(tmp_path / "list")


def test_a_root_without_its_slash(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    entries = [listfile.Entry("none.jpg", 0, 1), listfile.Entry("a.jpg", 0, 2)]
    with pytest.raises(CaffeError, match=f"ROOTFOLDER '{tmp_path}/images' has no slash.*write '{tmp_path}/images/'"):
        listfile.check_root(f"{tmp_path}/images", entries, "ROOTFOLDER")
    listfile.check_root(f"{tmp_path}/images/", entries, "ROOTFOLDER")
    listfile.check_root(f"{tmp_path}/im", [listfile.Entry("ages/a.jpg", 0, 1)], "ROOTFOLDER")  # a prefix, as in Caffe
    listfile.check_root("", entries, "ROOTFOLDER")
    listfile.check_root(f"{tmp_path}/elsewhere", entries, "ROOTFOLDER")  # the images' own errors follow
