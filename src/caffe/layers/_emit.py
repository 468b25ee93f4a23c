"""Emit ONNX nodes, for layers that export as several of them."""

from __future__ import annotations

from typing import Any


def one(g: Any, op: str, inputs: list[str], hint: str, **attributes: Any) -> str:
    """Emit a node with one output and return its name."""
    name = g.temp(hint)
    g.node(op, inputs, [name], **attributes)
    return name
