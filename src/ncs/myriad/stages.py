"""Reads the stage graph that the MYRIAD compiler dumps: every stage with its layer and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LABEL = re.compile(r'^\s*label="\[(-?\d+) / (-?\d+)\] Stage (.*)"$')


@dataclass(frozen=True)
class DumpedStage:
    """A stage of the compiler's dump.

    `index` is its position in the blob (-1 for stages that are not in the blob; a stage merged into a hardware stage
    has that stage's index). `layer` and `layer_type` are the net's; `attributes` may be nested.
    """

    index: int
    name: str
    type: str
    shaves: int
    layer: str = ""
    layer_type: str = ""
    attributes: dict = field(default_factory=dict)


def read_dump(path: str) -> list[DumpedStage]:
    """Read all stages of a .dot file of MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME, in execution order."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        labels = [_LABEL.match(line.rstrip("\n")) for line in stream]
    return [_parse_stage(match) for match in labels if match]


def _parse_stage(match: re.Match) -> DumpedStage:
    name, _, rest = match.group(3).partition("\\l")
    values = _parse_block(iter(rest.split("\\l")))
    layer = values.get("origLayer", {})
    return DumpedStage(
        int(match.group(1)),
        name,
        values.get("type", ""),
        int(values.get("numSHAVEs", 0)),
        layer.get("name", ""),
        layer.get("type", ""),
        values.get("extraAttrs", {}),
    )


def _parse_block(rows: Iterator[str]) -> dict:
    """Parse `key = value` rows up to the closing bracket; `key = [` opens a nested block."""
    values: dict = {}
    for row in rows:
        row = row.strip()
        if row == "]":
            break
        key, equals, value = row.partition(" = ")
        if equals:
            values[key] = _parse_block(rows) if value == "[" else value
    return values
