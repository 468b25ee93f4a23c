"""Reads the graph that the MYRIAD compiler draws of its work: every stage with its layer and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LABEL = re.compile(r'^\s*label="\[(-?\d+) / (-?\d+)\] Stage (.*)"$')


@dataclass(frozen=True)
class DumpedStage:
    """One stage as the compiler drew it.

    `index` is its place in the blob (-1: none, it only moves names about; a stage merged into a hardware one
    shares that one's index), `layer` and `layer_type` are the net's own, `attributes` may be nested.
    """

    index: int
    name: str
    type: str
    shaves: int
    layer: str = ""
    layer_type: str = ""
    attributes: dict = field(default_factory=dict)


def read_dump(path: str) -> list[DumpedStage]:
    """All stages of a .dot file made with MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME, in execution order."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        labels = [_LABEL.match(line.rstrip("\n")) for line in stream]
    return [_stage(found) for found in labels if found]


def _stage(found: re.Match) -> DumpedStage:
    name, _, rest = found.group(3).partition("\\l")
    facts = _block(iter(rest.split("\\l")))
    layer = facts.get("origLayer", {})
    return DumpedStage(
        int(found.group(1)),
        name,
        facts.get("type", ""),
        int(facts.get("numSHAVEs", 0)),
        layer.get("name", ""),
        layer.get("type", ""),
        facts.get("extraAttrs", {}),
    )


def _block(rows: Iterator[str]) -> dict:
    """`key = value` rows up to the closing bracket; `key = [` opens a block of its own."""
    facts: dict = {}
    for row in rows:
        row = row.strip()
        if row == "]":
            break
        key, equals, value = row.partition(" = ")
        if equals:
            facts[key] = _block(rows) if value == "[" else value
    return facts
