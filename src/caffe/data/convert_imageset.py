"""From a list of pictures to a database of Datum records, byte for byte as convert_imageset makes them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np

from caffe.core import glog, malloc
from caffe.data import datum, listfile
from caffe.data.db import Writer, backend_name, create_db
from caffe.data.lmdb import MAX_KEY
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import ImageError, decode_image, read_bytes, shown
from caffe.errors import CaffeError
from caffe.utils.progress import Progress

SEED = 1701
_CHUNK = 8  # pictures a task, when all are brought to one size


@dataclass(frozen=True)
class Form:
    """How a picture becomes a record: grey or colour, (height, width) or None, and the encoding, if any.

    `encoded` stores picture files instead of pixels, of `encode_type` (jpg, png …) or of the file's own
    type; a file that is stored as it is keeps its bytes.
    """

    gray: bool = False
    size: tuple[int, int] | None = None
    encoded: bool = False
    encode_type: str = ""

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise CaffeError("resize to %dx%d: height and width must be positive" % self.size)
        if self.encode_type and not _can_write(self.encode_type):
            raise CaffeError(f"OpenCV cannot write '{self.encode_type}' pictures; jpg and png it can")


@dataclass
class DatasetSummary:
    """What came of a list: the count of records, and (line, path, reason) of each picture left out."""

    written: int = 0
    skipped: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Record:
    entry: listfile.Entry
    value: bytes | bytearray = b""
    values: int = 0
    fault: str = ""


def convert(
    root: str,
    list_path: str | os.PathLike,
    db_path: str | os.PathLike,
    form: Form,
    *,
    shuffle: bool = False,
    seed: int = SEED,
    backend: str = "lmdb",
    check_size: bool = False,
    overwrite: bool = False,
    workers: int = 0,
) -> DatasetSummary:
    """Make the database `db_path`, whole or not at all, of the pictures `root` + path of each line.

    A record's key is its place in the list (after a seeded shuffle, if any) in eight digits, underscore and
    path. A picture that cannot be read is logged with its line and left out, as in Caffe. A CaffeError
    tells of a faulty list, of sizes that differ under `check_size`, and of a list without one good picture.
    """
    malloc.retain_freed_memory()
    entries = listfile.read(list_path)
    _check_keys(entries, list_path, backend_name(backend))
    if shuffle:
        glog.info("Shuffling data", "convert_imageset.cpp:83")
        random.Random(seed).shuffle(entries)
    glog.info("A total of %d images." % len(entries), "convert_imageset.cpp:86")
    with create_db(db_path, backend, overwrite) as writer:
        records = _records(root, entries, form, workers or cores())
        outcome = _write(records, writer, root, list_path, check_size, len(entries))
    if outcome.written % 1000:
        glog.info("Processed %d files." % outcome.written, "convert_imageset.cpp:150")
    return outcome


def _write(
    records: Iterator[_Record],
    writer: Writer,
    root: str,
    list_path: str | os.PathLike,
    check_size: bool,
    total: int,
) -> DatasetSummary:
    outcome = DatasetSummary()
    first: _Record | None = None
    with Progress("convert_imageset", total, "pictures") as bar:
        for index, record in enumerate(records):
            bar.step()
            if record.fault:
                bar.clear()
                _skip(root, list_path, record, outcome)
                continue
            first = first or record
            if check_size and record.values != first.values:
                raise CaffeError(_size_fault(list_path, first, record))
            writer.put(b"%08d_" % index + os.fsencode(record.entry.path), record.value)
            outcome.written += 1
            if outcome.written % 1000 == 0:
                bar.clear()
                glog.info("Processed %d files." % outcome.written, "convert_imageset.cpp:144")
    if not outcome.written:
        raise CaffeError("%s: none of its %d pictures can be read under '%s'" % (list_path, total, root))
    return outcome


def _check_keys(entries: list[listfile.Entry], list_path: str | os.PathLike, backend: str) -> None:
    limit = MAX_KEY - 9 if backend == "lmdb" else 1 << 20
    faults = [
        "%s:%d: a path of %d bytes; LMDB's keys take %d" % (list_path, entry.line, len(path), limit)
        for entry in entries
        for path in [os.fsencode(entry.path)]
        if len(path) > limit
    ]
    if faults:
        raise CaffeError(listfile.fault_text(faults, "faulty line"))


def _skip(root: str, list_path: str | os.PathLike, record: _Record, outcome: DatasetSummary) -> None:
    entry = record.entry
    where = "%s:%d: %s" % (list_path, entry.line, record.fault)
    glog.error(f"Could not open or find file {root}{entry.path} ({where})", "io.cpp:80")
    outcome.skipped.append((entry.line, entry.path, record.fault))


def _size_fault(list_path: str | os.PathLike, first: _Record, record: _Record) -> str:
    return "%s:%d: Incorrect data field size %d; that of line %d is %d (--resize_width and --resize_height help)" % (
        list_path,
        record.entry.line,
        record.values,
        first.entry.line,
        first.values,
    )


def _records(root: str, entries: list[listfile.Entry], form: Form, workers: int) -> Iterator[_Record]:
    """Records in the order of the list; pictures of unknown size go one at a time, to bound the memory."""
    rows = iter(entries)
    chunks = iter(lambda: list(islice(rows, _CHUNK if form.size else 1)), [])

    def work(chunk: list[listfile.Entry]) -> list[_Record]:
        return [_record(root, entry, form) for entry in chunk]

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures are the parallel work
    try:
        for records in ordered_map(work, chunks, workers, 6 * workers):
            yield from records
    finally:
        cv2.setNumThreads(threads)


def _record(root: str, entry: listfile.Entry, form: Form) -> _Record:
    """Read, decode, resize and serialize one picture."""
    try:
        data = read_bytes(root + entry.path)
        picture = decode_image(data, cv2.IMREAD_GRAYSCALE if form.gray else cv2.IMREAD_COLOR)
    except ImageError as error:
        return _Record(entry, fault=str(error).removeprefix(shown(root + entry.path) + ": "))
    if form.size is not None:
        picture = cv2.resize(picture, form.size[::-1], interpolation=cv2.INTER_LINEAR)
    if not form.encoded:
        return _Record(entry, _raw(picture, entry.label), picture.size)
    extension = _extension(entry.path)
    kind = form.encode_type.lower() or extension
    if form.size is None and (kind == extension or (kind, extension) == ("jpg", "jpeg")):
        return _Record(entry, datum.encode(None, entry.label, data), picture.size)
    if not _can_write(kind):
        return _Record(entry, fault=f"OpenCV cannot write '{kind}' pictures; give --encode_type")
    encoded = cv2.imencode("." + kind, picture)[1].tobytes()
    return _Record(entry, datum.encode(None, entry.label, encoded), picture.size)


def _raw(picture: np.ndarray, label: int) -> bytearray:
    """The Datum of a picture, its planes split straight into the record."""
    height, width = picture.shape[:2]
    channels = picture.size // (height * width)
    head, tail = datum.header(channels, height, width), datum.trailer(label)
    record = bytearray(len(head) + picture.size + len(tail))
    record[: len(head)] = head
    record[-len(tail) :] = tail
    planes = np.frombuffer(record, np.uint8, picture.size, len(head)).reshape(channels, height, width)
    if channels == 1:
        planes[0] = picture
    else:
        cv2.split(picture, list(planes))
    return record


def _extension(path: str) -> str:
    """What follows the last dot, in lower case; Caffe takes the whole name where there is none."""
    return path.rpartition(".")[2].lower()


def _can_write(kind: str) -> bool:
    return kind.isalnum() and cv2.haveImageWriter("x." + kind)
