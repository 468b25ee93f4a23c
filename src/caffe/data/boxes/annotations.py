"""Annotation files of detection data sets: VOC's XML, COCO's JSON and text, and SSD's label maps.

Boxes are arrays (n, 7) as in `caffe.data.boxes.record`.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, text
from caffe.utils import input_file

# Exceptions for values of other types, numbers that are infinite or too large, and endless nesting.
_DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError),
    ElementTree.ParseError,
)
_FARTHEST = 1e9  # pixels of a side or a corner
READERS = ("xml", "json", "txt")


def label_map(path: str | Path, check: bool = False) -> dict[str, int]:
    """Return name -> label of a text file with a LabelMap; with `check`, names and labels must be unique."""
    message = caffe_pb2.LabelMap()
    text.parse(input_file.read_text(path), message, str(path))
    names = [item.name for item in message.item]
    labels = [item.label for item in message.item]
    for values in (names, labels) if check else ():
        double = next((value for value in values if values.count(value) > 1), None)
        if double is not None:
            raise CaffeError(f"{path}: '{double}' is given twice")
    return dict(zip(names, labels))


def read(path: str | Path, kind: str, size: tuple[int, int], labels: Mapping[str, int]) -> np.ndarray:
    """Read the boxes of one image.

    Parameters
    ----------
    path : str or path
    kind : {"xml", "json", "txt"}
        VOC's XML; {"image": ..., "annotation": [{"bbox", "category_id", "iscrowd"}]} of one COCO image; or lines of
        `label xmin ymin xmax ymax` in pixels.
    size : (height, width)
        The size of the image in pixels, which the file may replace.
    labels : mapping of str to int
        The labels by name (XML) or category_id (JSON).

    Returns
    -------
    ndarray (n, 7)

    Raises
    ------
    CaffeError
        If the file is invalid or has a name without a label.
    """
    content = input_file.read_text(path)
    try:
        size, rows = {"xml": _xml, "json": _json, "txt": _text}[kind](content, size)
        known = [(label_of(name, labels, str(path)) if kind != "txt" else int(name), *row) for name, *row in rows]
        return boxes_of(known, size, str(path))
    except _DAMAGED as error:
        raise CaffeError(f"{path}: not an annotation of type {kind}: {error}") from None


def label_of(name: str, labels: Mapping[str, int], where: str) -> int:
    """Return the label of a name, or raise a CaffeError that lists the known names."""
    if name not in labels:
        known = ", ".join(list(labels)[:20])
        raise CaffeError(f"{where}: '{name}' is not in the label map ({known or 'empty; give --label_map_file'})")
    return labels[name]


def boxes_of(rows: Iterable[tuple], size: tuple[int, int], where: str) -> np.ndarray:
    """Return boxes (n, 7) of rows (label, xmin, ymin, xmax, ymax, difficult) in pixels of an image of `size`."""
    height, width = size
    if not all(0 < side < _FARTHEST for side in size):
        raise CaffeError(f"{where}: the image has the size {height} x {width}")
    out, counts = [], {}  # type: ignore[var-annotated]
    for label, *corners, difficult in rows:
        left, top, right, bottom = corners
        if not all(abs(corner) < _FARTHEST for corner in corners):  # nan is not
            raise ValueError(f"box {corners} is not in pixels")
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
            glog.warning(f"{where}: box {corners} is not inside the image of {width} x {height}")
        number = counts[label] = counts.get(label, -1) + 1
        scaled = [left / width, top / height, right / width, bottom / height]
        out.append([label, number, *scaled, bool(difficult)])
    return np.array(out, np.float32).reshape(-1, 7)


def _xml(content: str, size: tuple[int, int]) -> tuple[tuple[int, int], list]:
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise ValueError("document types and entities are not supported")
    root = ElementTree.fromstring(content)
    height, width = root.findtext("size/height"), root.findtext("size/width")
    rows = []
    for item in root.iter("object"):
        corners = [int(float(item.findtext("bndbox/" + name) or 0)) for name in ("xmin", "ymin", "xmax", "ymax")]
        rows.append((item.findtext("name") or "", *corners, (item.findtext("difficult") or "0").strip() == "1"))
    return (int(height), int(width)) if height and width else size, rows


def _json(content: str, size: tuple[int, int]) -> tuple[tuple[int, int], list]:
    data = json.loads(content)
    image = data.get("image", {})
    rows = [_coco_row(entry) for entry in data["annotation"]]
    return (int(image.get("height", size[0])), int(image.get("width", size[1]))), rows


def _coco_row(entry: Any) -> tuple:
    left, top, width, height = (float(value) for value in entry["bbox"])
    return (str(entry["category_id"]), left, top, left + width, top + height, bool(entry.get("iscrowd", 0)))


def _text(content: str, size: tuple[int, int]) -> tuple[tuple[int, int], list]:
    words = content.split()
    if len(words) % 5:
        raise ValueError(f"expected rows of 5 numbers, received {len(words)} numbers")
    rows = [words[start : start + 5] for start in range(0, len(words), 5)]
    return size, [(int(label), *map(float, corners), False) for label, *corners in rows]


def coco(
    path: str | Path, labels: Mapping[str, int] | None = None
) -> tuple[list[tuple[str, np.ndarray]], dict[str, int]]:
    """Read COCO's instances file.

    Parameters
    ----------
    path : str or path
    labels : mapping of str to int, optional
        The labels by name or category_id. By default, the categories in the order of their ids are 1, 2, ...

    Returns
    -------
    list of (file name, boxes (n, 7)), and name -> label of the categories
    """
    try:
        data = json.loads(input_file.read_text(path))
        categories = sorted(data["categories"], key=lambda entry: entry["id"])
        names = {str(entry["id"]): str(entry["name"]) for entry in categories}
        sizes = {entry["id"]: (entry["file_name"], (entry["height"], entry["width"])) for entry in data["images"]}
        rows: dict[Any, list] = {key: [] for key in sizes}
        for entry in data["annotations"]:
            rows[entry["image_id"]].append(_coco_row(entry))
    except _DAMAGED as error:
        raise CaffeError(f"{path}: not a COCO file with images, annotations and categories: {error}") from None
    own = dict(labels) if labels else {name: number for number, name in enumerate(names.values(), 1)}
    by_id = {key: own[key] if key in own else label_of(name, own, str(path)) for key, name in names.items()}
    images = []
    for key, (name, size) in sizes.items():
        where = f"{path}, image '{name}'"
        try:
            known = [(by_id[row[0]], *row[1:]) for row in rows[key]]
            images.append((str(name), boxes_of(known, size, where)))
        except KeyError as error:
            raise CaffeError(f"{where}: the category {error} is not in the file") from None
        except _DAMAGED as error:
            raise CaffeError(f"{where}: {error}") from None
    return images, own
