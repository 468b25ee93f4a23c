"""Write docs/reference/layers.md from the layer types; a test compares them: python scripts/layers_doc.py."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from caffe import layers
from caffe.layers import base
from caffe.utils.atomic_io import write_bytes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "layers.md"

HEAD = """\
# Layer types

The %d layer types of BVLC Caffe 1.0, generated from `src/caffe/layers` by `python scripts/layers_doc.py`. "Bottoms" and "Tops" are
the number of inputs and outputs; "ONNX" says whether the layer is exported, which losses, data layers and metrics are not.

| Type | What it does | Bottoms | Tops | ONNX |
| --- | --- | --- | --- | --- |
%s

%s
"""


def page() -> str:
    """The text of docs/reference/layers.md."""
    layers.load()
    types = sorted(base.registry.items(), key=lambda item: item[0].lower())
    rows = "\n".join(_row(name, layer) for name, layer in types)
    return HEAD % (len(types), rows, "\n\n".join(_section(name, layer) for name, layer in types))


def _row(name, layer):
    link = f"[{name}](#{name.lower()})"
    columns = link, _summary(layer), _count(layer.num_bottom), _tops(layer), _onnx(layer)
    return "| {} |".format(" | ".join(columns))


def _summary(layer):
    """The first sentence of the layer's docstring, without papers and the names of Caffe's files."""
    first = " ".join(inspect.getdoc(layer).split("\n\n")[0].split())
    first = re.sub(r" \([^()]*(?:et al\.|\.[ch]pp)[^()]*\)|; \w+\.[ch]pp", "", first)
    return re.split(r"(?<=[\w)`])\. ", first)[0].rstrip(".").replace("|", "\\|")


def _count(allowed):
    if isinstance(allowed, int):
        return str(allowed)
    least, most = allowed
    return "%d or more" % least if most is None else "%d to %d" % (least, most)


def _tops(layer):
    return "as bottoms" if layer.same_count else _count(layer.num_top)


def _onnx(layer):
    if layer.no_onnx:
        return "no"
    return "yes" if layer.to_onnx is not base.Layer.to_onnx else "no"


def _section(name, layer):
    parts = [f"## {name}", inspect.getdoc(layer)]
    if layer.no_onnx:
        parts.append(f"Not exported to ONNX: {layer.no_onnx}.")
    if layer.examples:
        parts.append("```\n{}\n```".format("\n".join(_example(name, example) for example in layer.examples)))
    return "\n\n".join(parts)


def _example(name, example):
    bottoms = ", ".join("x".join(map(str, shape)) or "scalar" for shape in example.bottoms) or "no bottom"
    text = example.text.strip()
    return 'layer {{ type: "{}"{} }}  # {}'.format(name, " " + text if text else "", bottoms)


if __name__ == "__main__":
    write_bytes(PAGE, page())
    print(f"Wrote {PAGE}")
