"""The page docs/models.md, which bench/model_families.py measures: its table as rows, and its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

COLUMNS = ("read", "train", "onnx", "openvino", "blob", "opencv", "kendryte")
TITLES = {
    "file": "Prototxt", "read": "Read", "train": "Train", "onnx": "ONNX", "openvino": "OpenVINO", "blob": "Blob",
    "opencv": "OpenCV", "kendryte": "kendryte-caffe", "note": "Note",
}  # fmt: skip
HEAD = """\
# Model families

Measured by `python bench/model_families.py` on prototxt files of public repositories, with seeded weights. "yes" in ONNX,
OpenVINO, OpenCV and kendryte-caffe means that ONNX Runtime, OpenVINO's CPU device, OpenCV 4.13 and kendryte-caffe (BVLC's
Caffe on PyPI) give the outputs of our Net within 1e-3 of the largest value (of detections and regions, that at most 3 % have
no counterpart); "train" means that all layers and fields of the training net are implemented; "blob" means that
the net compiles for Myriad X. An empty cell was not measured. [Nets of Caffe's forks](guides/forks.md) has the details.

| Family | Prototxt | Read | Train | ONNX | OpenVINO | Blob | OpenCV | kendryte-caffe | Note |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
FOOT = """
## Differences

* SE-ResNet-50 in OpenCV: OpenCV 4.13 does not compute a x + y for an Axpy; it does not in a net of this one layer.
* SegNet basic in OpenVINO: 0.3 % of the pixels differ. Where the two largest values of a pooling window are nearly equal,
  rounding decides which position is unpooled: the Net itself differs by as much if its input changes by 1e-6.
"""


def read(page: Path, families: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Return family -> column -> cell of the table of `page`, of all `families`, whose paths are in "file"."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    table = [[cell.strip() for cell in line.strip("| ").split(" |")] for line in lines if line.startswith("| ")]
    names = [next((key for key, title in TITLES.items() if title == cell), cell) for cell in table[0]] if table else []
    rows = {row[0]: dict(zip(names[1:], [*row[1:], ""])) for row in table[2:]}
    return {name: {**rows.get(name, {}), "file": next(filter(None, files))} for name, files in families.items()}


def text(rows: Mapping[str, Mapping[str, str]], families: Iterable[str]) -> str:
    """Return the page with `rows` in the order of `families`."""
    return "\n".join([HEAD, *(_line(family, rows[family]) for family in families), FOOT])


def _line(family: str, row: Mapping[str, str]) -> str:
    owner, repository, *path = row["file"].split("/")
    cells = [family, f"{owner}/{repository}: {'/'.join(path)}", *(row.get(name, "") for name in [*COLUMNS, "note"])]
    return f"| {' | '.join(cells)} |"
