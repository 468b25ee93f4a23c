"""Malicious names on a terminal and in tables, graphs and logs."""

import io
import subprocess
import sys

import pytest

import caffe
from caffe import draw
from caffe.core import glog
from caffe.proto import caffe_pb2
from caffe.utils.cli import safe_text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain é 年", "plain é 年"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\x9b2J\x7f", "a\\x0db\\x9b2J\\x7f"),
        ("tab\tand\nline", "tab\tand\nline"),
        (b"f\xff\xe9".decode("utf-8", "surrogateescape"), "f\\xff\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\u202egpj.exe\u2028b", "a\\u202egpj.exe\\u2028b"),
    ],
)
def test_printable(text, shown):
    assert safe_text.printable(text) == shown


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1", "\r=1", "\uff1d1", "\uff201"])
def test_a_cell_is_never_a_formula(text):
    assert safe_text.cell(text)[0] not in "=+-@\t\r\uff1d\uff20"


def test_other_cells_are_unchanged():
    assert safe_text.cell("a=b.jpg") == "a=b.jpg" and safe_text.cell("60-69") == "60-69"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "stream, text, written",
    [
        (Terminal, "\x1b[31mred\x1b[0m \r\x1b[K", "\x1b[31mred\x1b[0m \r\x1b[K"),
        (Terminal, "\x1b]0;x\x07\x1b[2J", "\\x1b]0;x\\x07\\x1b[2J"),
        (io.StringIO, "\x1b[31mred", "\\x1b[31mred"),
    ],
)
def test_only_a_terminal_receives_colours(stream, text, written):
    output = stream()
    safe_text.SafeStream(output).write(text)
    assert output.getvalue() == written


NAME = 'a"b\x1b]0;x\x07'
NET = f"""name: {NAME!a} layer {{ name: {NAME!a} type: "Input" top: {NAME!a} input_param {{ shape {{ dim: 1 }} }} }}"""


def test_commands_escape_names(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    for argv in (["summarize", "net.prototxt"], ["time", "--model", "net.prototxt", "--iterations", "1"]):
        process = subprocess.run([sys.executable, "-m", "caffe", *argv], cwd=tmp_path, capture_output=True)
        assert b"\x1b" not in process.stdout + process.stderr and b"Traceback" not in process.stderr


def test_log_escapes_names():
    lines = []
    stop = glog.listen(lines.append)
    glog.info("layer \x1b]0;x\x07")
    stop()
    assert lines[0].endswith("layer \\x1b]0;x\\x07")


def test_graph_escapes_quotes():
    param = caffe_pb2.NetParameter(name='x" ]; evil [label="')
    param.layer.add(name='"evil"', type="Input", top=['b" ]; y [label="\\'])
    text = draw.dot_text(param)
    for line in text.splitlines():
        quotes = line.replace("\\\\", "").replace('\\"', "").count('"')
        assert quotes % 2 == 0, line
    assert "\n".join(text.split('\\"')).count("evil [") == 1
    assert caffe.__version__
