"""`ncs compile` names files of other programs for what they are, in one line."""

import gzip

import pytest

from ncs.cli import main

HTML = b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n"
GRAPH_DEF = b"\x0a\x21\x0a\x05input\x12\x0bPlaceholder*\x0b\x0a\x05dtype\x12\x020\x01\x0a"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.onnx", HTML, "this is an HTML page"),
        ("a.onnx", gzip.compress(b"x", mtime=0), "this is a gzip archive"),
        ("a.xml", HTML, "this is an HTML page"),
        ("a.xml", b'<?xml version="1.0"?>\n<opencv_storage/>', "not an IR"),
        ("a.prototxt", HTML, "this is an HTML page"),
        ("a.prototxt", GRAPH_DEF, "this is a frozen graph of TensorFlow"),
        ("a.pb", GRAPH_DEF, "a.pb"),
    ],
)
def test_the_file_is_named(tmp_path, monkeypatch, capsys, name, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    if name.endswith(".xml"):
        (tmp_path / "a.bin").write_bytes(b"")
    assert main(["compile", name]) != 0
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning")]
    assert len(errors) == 1 and message in errors[0] and errors[0].isprintable()
