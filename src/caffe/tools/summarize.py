"""Print a net as a table: name, type, multipliers, bottoms -> tops, arguments.

Convolutions are printed as `size/stride+pad outputs/groups`. Blobs that no layer reads are bold; bottoms that no layer
produces are red.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from caffe.utils.cli import dialect

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

_COLORS = ("92", "93", "94", "95", "97", "96", "42", "43;30", "100", "44", "103;30", "107;30")
_UNKNOWN_COLOR = "41"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("filename", help="net prototxt or .caffemodel")
    dialect.add_option(parser)
    parser.add_argument("-w", "--max-width", type=int, default=30, help="maximum column width (default: 30)")


def run(args: argparse.Namespace) -> None:
    """Read the net and print the table; colours on a terminal only."""
    from caffe.proto.read import read_net

    lines = table_lines(summary(read_net(args.filename, args.dialect).param), args.max_width)
    for line in lines:
        print(line if sys.stdout.isatty() else _plain(line))


def summary(net: caffe_pb2.NetParameter) -> list[list[str]]:
    """Return one row of seven cells per layer, with coloured blob names."""
    unread: set[str] = set()
    colors: dict[str, str] = {}
    for layer in net.layer:
        unread |= set(layer.top)
        unread -= set(layer.bottom)
    rows = []
    for layer in net.layer:
        tops = ", ".join(_top(layer, i, unread, colors) for i in range(len(layer.top)))
        bottoms = ", ".join(_colored(name, colors.get(name, _UNKNOWN_COLOR)) for name in layer.bottom)
        rows.append([layer.name, _type(layer), _params(layer), bottoms, "->", tops, _arguments(layer)])
    return rows


def table_lines(rows: Sequence[Sequence[str]], max_width: int) -> Iterator[str]:
    """Yield the rows aligned in columns of at most `max_width` characters; longer cells shift the rest of the row."""
    columns = list(zip(*rows))
    widths = [min(max(len(_plain(cell)) for cell in column) + 1, max_width) for column in columns]
    for row in rows:
        line, right = "", 0
        for cell, width in zip(row, widths):
            right += width
            line += cell + " "
            line += " " * max(right - len(_plain(line)), 0)
        yield line.rstrip()


def _plain(text):
    return re.sub(r"\033\[[\d;]*m", "", text)


def _colored(text, color):
    return f"\033[{color}m{text}\033[0m"


def _top(layer, index, unread, colors):
    name = layer.top[index]
    color = colors.setdefault(name, _COLORS[len(colors) % len(_COLORS)])
    text = "\033[1;4m" + name if name in unread else name
    if index < len(layer.loss_weight):
        text = f"{layer.loss_weight[index]} * {text}"
    return _colored(text, color)


def _type(layer):
    p = layer.python_param
    return f"{p.module}.{p.layer}" if layer.type == "Python" else layer.type


def _params(layer):
    params = [_param(param) for param in layer.param]
    return "({})".format(", ".join(params)) if any(params) else ""


def _param(param):
    words = [param.name] if param.name else []
    if param.lr_mult != 1:
        words.append(f"x{param.lr_mult}")
    if param.decay_mult != 1:
        words.append(f"Dx{param.decay_mult}")
    return " ".join(words)


def _sides(p, name):
    """Format a field of a convolution or pooling: "3", "3x5" if the sides differ, "" if the field is not set."""
    sides = getattr(p, name)
    sides = list(sides) if hasattr(sides, "append") else [sides] if p.HasField(name) else []
    stem = "kernel" if name == "kernel_size" else name
    if p.HasField(stem + "_h") or p.HasField(stem + "_w"):
        sides = [getattr(p, stem + "_h"), getattr(p, stem + "_w")]
    return "x".join(map(str, sides[:1] if len(set(sides)) == 1 else sides))


def _arguments(layer):
    if layer.type == "Pooling":
        p = layer.pooling_param
        return "global" if p.global_pooling else _window(p)
    if layer.type not in ("Convolution", "Deconvolution"):
        return ""
    p = layer.convolution_param
    group = f"/{p.group}" if p.group != 1 else ""
    return f"{_window(p)} {p.num_output}{group}"


def _window(p):
    text = _sides(p, "kernel_size")
    for sign, name, default in (("/", "stride", "1"), ("+", "pad", "0")):
        value = _sides(p, name)
        if value not in ("", default):
            text += sign + value
    return text
