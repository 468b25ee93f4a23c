"""Convert images with boxes to a database of AnnotatedDatums, as SSD's convert_annoset does."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from caffe.core import glog
from caffe.data import listfile
from caffe.data.boxes import annotations as annotation_files
from caffe.data.boxes import record
from caffe.data.convert import imageset
from caffe.data.db import create_db
from caffe.device.image_file import decode_image, read_bytes
from caffe.errors import CaffeError
from caffe.utils import input_file
from caffe.utils.cli.progress import Progress

_SOURCE = "convert_annoset.cpp:145"


def convert(
    root: str,
    list_path: str | os.PathLike,
    db_path: str | os.PathLike,
    record_format: imageset.RecordFormat,
    *,
    label_type: str = "xml",
    labels: Mapping[str, int] | None = None,
    shuffle: bool = False,
    seed: int = imageset.SEED,
    backend: str = "lmdb",
    check_size: bool = False,
    overwrite: bool = False,
) -> imageset.DatasetSummary:
    """Convert the images of a list, or of a COCO file, to a new database, which is written atomically.

    Parameters
    ----------
    root : str
        Prefix of every path; not joined with a separator.
    list_path : str or path
        One `image annotation` per line, or COCO's instances file (.json).
    db_path : str or path
    record_format : RecordFormat
    label_type : {"xml", "json", "txt"}
        See `caffe.data.boxes.annotations.read`.
    labels : mapping of str to int, optional
        The labels by name.
    shuffle, seed, backend, check_size, overwrite
        See `caffe.data.convert.imageset.convert`.

    Returns
    -------
    DatasetSummary

    Raises
    ------
    CaffeError
        If the list or an annotation is invalid, or no image can be read.
    """
    entries = _entries(root, list_path, label_type, labels or {})
    if shuffle:
        glog.info("Shuffling data", "convert_annoset.cpp:120")
        random.Random(seed).shuffle(entries)
    glog.info(f"A total of {len(entries)} images.", "convert_annoset.cpp:122")
    summary, values = imageset.DatasetSummary(), None
    with create_db(db_path, backend, overwrite) as writer, Progress("convert_annoset", len(entries), "images") as bar:
        for index, (number, path, boxes) in enumerate(entries):
            bar.step()
            image = imageset.read_record(root, listfile.Entry(path, 0, number), record_format)
            if image.error:
                bar.clear()
                imageset.skip(root, list_path, image, summary)
                continue
            values = values or image.values
            if check_size and image.values != values:
                raise CaffeError(f"{list_path}:{number}: {image.values} values, the first image has {values}")
            found = boxes if isinstance(boxes, np.ndarray) else _boxes(root, path, boxes, label_type, labels or {})
            writer.put(b"%08d_" % index + os.fsencode(path), record.encode(bytes(image.value), found))
            summary.written += 1
        if not summary.written:
            raise CaffeError(f"{list_path}: none of the {len(entries)} images can be read with the prefix '{root}'")
    glog.info(f"Processed {summary.written} files.", _SOURCE)
    return summary


def _entries(root, list_path, label_type, labels):
    """Return [(line, image, path of its annotation or its boxes)]."""
    if str(list_path).endswith(".json"):
        images, known = annotation_files.coco(list_path, labels)
        glog.info(f"Labels: {json.dumps(known)}", _SOURCE)
        return [(number, name, boxes) for number, (name, boxes) in enumerate(images, 1)]
    if label_type not in annotation_files.READERS:
        raise CaffeError(f"--label_type must be one of {', '.join(annotation_files.READERS)}, received '{label_type}'")
    entries: list[tuple[int, str, str]] = []
    errors = []
    for number, line in enumerate(input_file.read_text(list_path, "surrogateescape").splitlines(), 1):
        words = line.split()
        if len(words) != 2:
            errors.append(f"{list_path}:{number}: expected `image annotation`, received '{line}'")
        else:
            entries.append((number, words[0], words[1]))
    if not entries and not errors:
        errors.append(f"{list_path}: the list is empty; expected lines of the form `image annotation`")
    if errors:
        raise CaffeError(listfile.error_text(errors, "invalid line"))
    listfile.check_root(root, [listfile.Entry(path, 0, number) for number, path, _ in entries], "ROOTFOLDER")
    return entries


def _boxes(root, image, path, label_type, labels):
    """Return the boxes of an annotation file; an image without a file has none, as in SSD."""
    if not Path(root + path).exists():
        glog.warning(f"{root + path} does not exist; its image has no boxes", _SOURCE)
        return np.zeros((0, 7), np.float32)
    height, width = decode_image(read_bytes(root + image), cv2.IMREAD_COLOR).shape[:2]
    return annotation_files.read(root + path, label_type, (height, width), labels)
