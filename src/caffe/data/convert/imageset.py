"""Convert a list of images to a database of Datum records, byte-identical to Caffe's convert_imageset."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np

from caffe.core import glog, malloc
from caffe.data import datum, listfile
from caffe.data.db import Writer, backend_name, create_db
from caffe.data.db.lmdb import MAX_KEY
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import ImageError, decode_image, read_bytes, shown
from caffe.errors import CaffeError
from caffe.utils.cli.progress import Progress

SEED = 1701
_CHUNK_IMAGES = 8  # images per task, if all are resized to the same size


@dataclass(frozen=True)
class RecordFormat:
    """Format of the records.

    Parameters
    ----------
    gray : bool
        One channel instead of three.
    size : (height, width) or None
        Size to resize images to; None keeps their size.
    encoded : bool
        Store encoded image files instead of pixels.
    encode_type : str
        Format of the encoded files (jpg, png, …). The file's own format by default; a file that needs no conversion is
        stored unchanged.
    min_dim, max_dim : int
        Without `size`: limits of the shorter and the longer side, which keep the proportions; 0: none. max_dim has
        precedence.
    """

    gray: bool = False
    size: tuple[int, int] | None = None
    encoded: bool = False
    encode_type: str = ""
    min_dim: int = 0
    max_dim: int = 0

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise CaffeError(f"resize to {self.size[0]}x{self.size[1]}: height and width must be positive")
        if self.encode_type and not _can_write(self.encode_type):
            raise CaffeError(f"OpenCV cannot write '{self.encode_type}' images; use jpg or png")
        if min(self.min_dim, self.max_dim) < 0:
            raise CaffeError(f"min_dim {self.min_dim} and max_dim {self.max_dim} must not be negative")

    def resized(self, image: np.ndarray) -> np.ndarray:
        """Return `image` in the size of the records; the image itself if that is its size."""
        if self.min_dim or self.max_dim:
            factor = self._factor(*image.shape[:2])
            return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor)
        if self.size is None:
            return image
        return cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_LINEAR)

    def _factor(self, height: int, width: int) -> float:
        short, long = min(height, width), max(height, width)
        factor = float(np.float32(self.min_dim) / np.float32(short)) if short < self.min_dim else 1.0
        if self.max_dim and int(factor * long) > self.max_dim:
            factor = float(np.float32(self.max_dim) / np.float32(long))
        return factor


@dataclass
class DatasetSummary:
    """Result of a conversion: the number of records, and (line, path, reason) of each skipped image."""

    written: int = 0
    skipped: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Record:
    """The serialized Datum of one image, its number of values, or why it cannot be read."""

    entry: listfile.Entry
    value: bytes | memoryview = b""
    values: int = 0
    error: str = ""


def convert(
    root: str,
    list_path: str | os.PathLike,
    db_path: str | os.PathLike,
    record_format: RecordFormat,
    *,
    shuffle: bool = False,
    seed: int = SEED,
    backend: str = "lmdb",
    check_size: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    shards: int = 1,
    only: int | None = None,
    ray: str = "",
) -> DatasetSummary:
    """Convert the images of a list file to a new database, which is written atomically.

    A record's key is its position in the list (after shuffling) as eight digits, an underscore and the path. Images
    that cannot be read are logged with their line and skipped, as in Caffe.

    Parameters
    ----------
    root : str
        Prefix of every path; not joined with a separator.
    list_path : str or path
        File with one `path label` per line.
    db_path : str or path
        Folder of the new database.
    record_format : RecordFormat
        Format of the records.
    shuffle, seed : bool, int
        Shuffle the list with this seed.
    backend : {"lmdb", "leveldb"}
    check_size : bool
        Fail if records differ in size.
    overwrite : bool
        Replace an existing database.
    workers : int
        Number of threads; 0 means one per core.
    shards : int
        Write that many databases with contiguous key ranges, and a list of them as `db_path`. Existing shards are kept,
        so that an interrupted conversion continues.
    only : int, optional
        Write this shard only, and no list: another process or machine writes the others.
    ray : str
        Write the shards as tasks of the Ray cluster at this address, see `imageset_shards.convert`.

    Returns
    -------
    DatasetSummary

    Raises
    ------
    CaffeError
        If the list is invalid, sizes differ with `check_size`, or no image can be read.
    """
    malloc.retain_freed_memory()
    entries = listfile.read(list_path)
    _check_keys(entries, list_path, backend_name(backend))
    listfile.check_root(root, entries, "ROOTFOLDER")
    if shuffle:
        glog.info("Shuffling data", "convert_imageset.cpp:83")
        random.Random(seed).shuffle(entries)
    glog.info(f"A total of {len(entries)} images.", "convert_imageset.cpp:86")
    if shards > 1:
        from caffe.data.convert import imageset_shards  # it writes its databases with the functions below

        options = imageset_shards.Options(root, os.fspath(list_path), record_format, backend, check_size, workers)
        return imageset_shards.convert(options, entries, os.fspath(db_path), shards, only, ray)
    with create_db(db_path, backend, overwrite) as writer:
        found = records(root, entries, record_format, workers or cores())
        summary = write(found, writer, root, list_path, check_size, len(entries))
    if summary.written % 1000:
        glog.info(f"Processed {summary.written} files.", "convert_imageset.cpp:150")
    return summary


def write(
    records: Iterator[Record],
    writer: Writer,
    root: str,
    list_path: str | os.PathLike,
    check_size: bool,
    total: int,
    start: int = 0,
) -> DatasetSummary:
    summary = DatasetSummary()
    first: Record | None = None
    with Progress("convert_imageset", total, "images") as progress:
        for index, record in enumerate(records, start):
            progress.step()
            if record.error:
                progress.clear()
                skip(root, list_path, record, summary)
                continue
            first = first or record
            if check_size and record.values != first.values:
                raise CaffeError(_size_error(list_path, first, record))
            writer.put(b"%08d_" % index + os.fsencode(record.entry.path), record.value)
            summary.written += 1
            if summary.written % 1000 == 0:
                progress.clear()
                glog.info(f"Processed {summary.written} files.", "convert_imageset.cpp:144")
    if not summary.written:
        raise CaffeError(f"{list_path}: none of the {total} images can be read with the prefix '{root}'")
    return summary


def _check_keys(entries: list[listfile.Entry], list_path: str | os.PathLike, backend: str) -> None:
    limit = MAX_KEY - 9 if backend == "lmdb" else 1 << 20
    errors = [
        f"{list_path}:{entry.line}: a path of {len(path)} bytes; the limit is {limit}"
        for entry in entries
        for path in [os.fsencode(entry.path)]
        if len(path) > limit
    ]
    if errors:
        raise CaffeError(listfile.error_text(errors, "invalid line"))


def skip(root: str, list_path: str | os.PathLike, record: Record, summary: DatasetSummary) -> None:
    """Log an image that cannot be read, and add it to `summary`."""
    entry = record.entry
    log_skipped(root, list_path, entry.line, entry.path, record.error)
    summary.skipped.append((entry.line, entry.path, record.error))


def log_skipped(root: str, list_path: str | os.PathLike, line: int, path: str, reason: str) -> None:
    """Log an image that cannot be read, as Caffe does, with its line in the list."""
    glog.error(f"Could not open or find file {root}{path} ({list_path}:{line}: {reason})", "io.cpp:80")


def _size_error(list_path: str | os.PathLike, first: Record, record: Record) -> str:
    return (
        f"{list_path}:{record.entry.line}: Incorrect data field size {record.values}; line {first.entry.line} has "
        f"{first.values} (use --resize_width and --resize_height)"
    )


def records(
    root: str, entries: Sequence[listfile.Entry], record_format: RecordFormat, workers: int
) -> Iterator[Record]:
    """Yield records in the order of the list; images that keep their size are single tasks, to bound the memory."""
    remaining = iter(entries)
    chunks = iter(lambda: list(islice(remaining, _CHUNK_IMAGES if record_format.size else 1)), [])

    def convert_chunk(chunk: list[listfile.Entry]) -> list[Record]:
        return [read_record(root, entry, record_format) for entry in chunk]

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the parallelism is over images
    try:
        for chunk in ordered_map(convert_chunk, chunks, workers, 6 * workers):
            yield from chunk
    finally:
        cv2.setNumThreads(threads)


def read_record(root: str, entry: listfile.Entry, record_format: RecordFormat) -> Record:
    """Read, decode, resize and serialize one image."""
    try:
        data = read_bytes(root + entry.path)
        image = decode_image(data, cv2.IMREAD_GRAYSCALE if record_format.gray else cv2.IMREAD_COLOR)
    except ImageError as error:
        return Record(entry, error=str(error).removeprefix(shown(root + entry.path) + ": "))
    original = image
    image = record_format.resized(original)
    if not record_format.encoded:
        return Record(entry, _raw(image, entry.label), image.size)
    extension = _extension(entry.path)
    encode_type = record_format.encode_type.lower() or extension
    if image is original and (encode_type == extension or (encode_type, extension) == ("jpg", "jpeg")):
        return Record(entry, datum.encode(None, entry.label, data), image.size)
    if not _can_write(encode_type):
        return Record(entry, error=f"OpenCV cannot write '{encode_type}' images; use --encode_type")
    encoded = cv2.imencode("." + encode_type, image)[1].tobytes()
    return Record(entry, datum.encode(None, entry.label, encoded), image.size)


def _raw(image: np.ndarray, label: int) -> memoryview:
    """Serialize the Datum of an image; the planes are split directly into the record."""
    height, width = image.shape[:2]
    channels = image.size // (height * width)
    head, tail = datum.header(channels, height, width), datum.trailer(label)
    values = np.empty(len(head) + image.size + len(tail), np.uint8)  # unlike a bytearray, not set to zero first
    record = values.data
    record[: len(head)] = head
    record[-len(tail) :] = tail
    planes = values[len(head) : -len(tail)].reshape(channels, height, width)
    if channels == 1:
        planes[0] = image
    else:
        cv2.split(image, list(planes))
    return record


def _extension(path: str) -> str:
    """Return the lower-case file extension; like Caffe, the whole path if there is no dot."""
    return path.rpartition(".")[2].lower()


def _can_write(extension: str) -> bool:
    return extension.isalnum() and cv2.haveImageWriter("x." + extension)
