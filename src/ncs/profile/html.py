"""The HTML report of a profile: the net as an SVG coloured by time, and a table; without scripts and links."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.utils.cli.safe_text import printable
from ncs.profile import styles
from ncs.profile.profile import Row, total

if TYPE_CHECKING:
    from caffe.net.net import Net

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 44, 24, 30, 16


def report(title: str, note: str, net: Net, rows: Sequence[Row]) -> str:
    """Return an HTML page; `note` explains how the times were obtained."""
    body = "".join(
        f'<tr><td class="number">{number}</td><td>{_escaped(row.name)}</td><td>{_escaped(row.type)}</td>'
        f'<td class="number">{row.mflops:.3f}</td><td class="number">{row.bandwidth:.2f}</td>'
        f'<td class="number">{"part of another" if row.milliseconds is None else f"{row.milliseconds:.3f}"}</td></tr>\n'
        for number, row in enumerate(rows)
    )
    columns = ("Layer", "Name", "Type", "MFLOPs", "Bandwidth MB/s", "time (ms)")
    headers = "".join(
        f"<th>{column}</th>" if column in ("Name", "Type") else f'<th class="number">{column}</th>'
        for column in columns
    )
    return styles.page(
        _escaped(title),
        f'<p class="note">{_escaped(note)}</p>\n<p>Total inference time: {total(rows):.2f} ms</p>\n'
        f'<section class="wide"><h2>Net</h2>\n{svg(net, rows)}</section>\n<section class="wide"><h2>Layers</h2>\n'
        f"<table><thead><tr>{headers}</tr></thead><tbody>\n{body}</tbody></table></section>\n",
    )


def svg(net: Net, rows: Sequence[Row]) -> str:
    """Return the net as SVG: one box per layer, arranged by depth, with edges from producers to consumers."""
    times = {row.name: row.milliseconds or 0.0 for row in rows}
    labels = {row.name: row for row in rows}
    longest = max(times.values(), default=0.0) or 1.0
    positions, edges = layout(net)
    width = max(x for x, _ in positions.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in positions.values()) + _HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(width)}" height="{int(height)}" '
        f'viewBox="0 0 {int(width)} {int(height)}" font-family="sans-serif">'
    ]
    for source, target in edges:
        (x1, y1), (x2, y2) = positions[source], positions[target]
        start, end = int(x1 + _WIDTH / 2), int(x2 + _WIDTH / 2)
        top, middle, bottom = int(y1 + _HEIGHT), int((y1 + _HEIGHT + y2) / 2), int(y2)
        curve = f"M{start} {top} C{start} {middle} {end} {middle} {end} {bottom}"
        parts.append(f'<path d="{curve}" fill="none" stroke="#888"/>')
    for name, (x, y) in positions.items():
        parts.append(_box(name, x, y, times.get(name, 0.0) / longest, labels.get(name)))
    return "\n".join([*parts, "</svg>"])


def _box(name, x, y, fraction, row):
    colour = f"rgb(255,{int(250 - 130 * fraction)},{int(245 - 185 * fraction)})"
    caption = ""
    if row is not None:
        caption = f"{row.type}  " + ("" if row.milliseconds is None else f"{row.milliseconds:.3f} ms")
    label = name if len(name) < 26 else name[:24] + "…"
    left, top, middle = int(x), int(y), int(x + _WIDTH / 2)
    return (
        f'<g><title>{_escaped(name)}</title><rect x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="{colour}" stroke="#555"/>'
        f'<text x="{middle}" y="{int(y + 18)}" font-size="12" fill="#222" text-anchor="middle">{_escaped(label)}</text>'
        f'<text x="{middle}" y="{int(y + 34)}" font-size="10" fill="#444" text-anchor="middle">'
        f"{_escaped(caption)}</text></g>"
    )


def layout(net: Net) -> tuple[dict[str, tuple[float, int]], list[tuple[str, str]]]:
    """Return ({layer: (x, y)}, [(source, target)]); depth is the longest path from an input."""
    producer: dict[str, str] = {}
    depth: dict[str, int] = {}
    edges = []
    for node in net.nodes:
        sources = {producer[name] for name in node.bottoms if name in producer}
        name = node.layer.name
        if node.layer.type == "Split":
            producer.update({top: producer[node.bottoms[0]] for top in node.tops})
            continue
        depth[name] = 1 + max((depth[source] for source in sources), default=-1)
        edges += [(source, name) for source in sorted(sources)]
        producer.update({top: name for top in node.tops})
    rows: dict[int, list[str]] = {}
    for name, level in depth.items():
        rows.setdefault(level, []).append(name)
    widest = max(map(len, rows.values()))
    positions = {}
    for level, names in rows.items():
        left = _MARGIN + (widest - len(names)) * (_WIDTH + _GAP_X) / 2
        for number, name in enumerate(names):
            positions[name] = (left + number * (_WIDTH + _GAP_X), _MARGIN + level * (_HEIGHT + _GAP_Y))
    return positions, edges


def _escaped(text):
    """`text` for HTML; control characters become \\xNN."""
    return html.escape(printable(str(text)))
