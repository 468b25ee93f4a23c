"""Check the pages of an LMDB before LMDB reads them: a damaged page makes LMDB abort the process.

The check follows the format of LMDB 0.9 (mdb.c: MDB_meta, MDB_page, MDB_node) on 64-bit little-endian machines from the
root through every branch and leaf to the overflow pages of large values. The values themselves are not checked.
"""

from __future__ import annotations

import mmap
import os
import struct

from caffe.errors import CaffeError

_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_KINDS = _BRANCH | _LEAF | _OVERFLOW | _META | 0x20 | 0x40
_BIG = 1  # flag of a node with its value in overflow pages
_HEAD, _NODE = 16, 8  # bytes of the headers of pages and nodes
_MAGIC, _NO_PAGE = 0xBEEFC0DE, 2**64 - 1
_valid: set[tuple[int, ...]] = set()


def check(path: str) -> None:
    """Raise CaffeError if the data.mdb at `path` is damaged; an unchanged file is not checked twice."""
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if state in _valid:
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                _Tree(data).check()
            except (struct.error, ValueError) as error:
                raise CaffeError(f"'{path}' is damaged: {error}; create the database again") from None
    _valid.add(state)


class _Tree:
    """The main database of the newest of the two meta pages."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.page_size = max(struct.unpack_from("<I", data, _HEAD + 24)[0], 512)
        metas = [self._meta(start) for start in (0, self.page_size)]
        _, self.depth, self.entries, self.root, last = max(metas)
        self.pages = min(last + 1, len(data) // self.page_size)
        self.seen = bytearray(self.pages)
        self.record_count = 0
        self.last_key: bytes | None = None

    def _meta(self, start: int) -> tuple[int, ...]:
        """Return transaction, depth, entries, root and last page."""
        if struct.unpack_from("<II", self.data, start + _HEAD) != (_MAGIC, 1):
            raise ValueError("a meta page has a wrong signature")
        main = start + _HEAD + 24 + 48
        depth = struct.unpack_from("<H", self.data, main + 6)[0]
        entries, root, last, transaction = struct.unpack_from("<QQQQ", self.data, main + 32)
        return transaction, depth, entries, root, last

    def check(self) -> None:
        if self.root != _NO_PAGE:
            if not 1 <= self.depth <= 32:
                raise ValueError(f"the tree has {self.depth} levels")
            self._page(self.root, self.depth)
        if self.record_count != self.entries:
            raise ValueError(f"it contains {self.record_count} records, expected {self.entries}")

    def _take(self, number: int, kind: int) -> int:
        """Mark a page of type `kind` as used and return its offset."""
        if not 2 <= number < self.pages:
            raise ValueError(f"page {number} is not in the file")
        if self.seen[number]:
            raise ValueError(f"page {number} is used twice")
        self.seen[number] = 1
        start = number * self.page_size
        stored_number, _, flags = struct.unpack_from("<QHH", self.data, start)
        if stored_number != number or flags & _KINDS != kind:
            raise ValueError(f"page {number} has a wrong number or type")
        return start

    def _page(self, number: int, level: int) -> None:
        kind = _LEAF if level == 1 else _BRANCH
        start = self._take(number, kind)
        page = self.data[start : start + self.page_size]
        lower, upper = struct.unpack_from("<HH", page, 12)
        if not _HEAD < lower <= upper <= self.page_size or lower % 2:
            raise ValueError(f"page {number} has impossible bounds")
        for offset in struct.unpack_from(f"<{(lower - _HEAD) // 2}H", page, _HEAD):
            if not upper <= offset <= self.page_size - _NODE:
                raise ValueError(f"page {number} has a node outside the page")
            low, high, flags, key = struct.unpack_from("<HHHH", page, offset)
            if kind == _BRANCH:
                self._check_end(number, offset + _NODE + key)
                self._page(low | high << 16 | flags << 32, level - 1)
            else:
                self._leaf(number, page, offset, low | high << 16, flags, key)

    def _leaf(self, number: int, page: bytes, offset: int, size: int, flags: int, key_size: int) -> None:
        value = offset + _NODE + key_size
        self._check_end(number, value + (8 if flags & _BIG else size))
        key = page[offset + _NODE : value]
        if not key or (self.last_key is not None and key <= self.last_key):
            raise ValueError(f"page {number} has keys out of order")
        self.last_key = key
        self.record_count += 1
        if flags & _BIG:
            self._overflow(struct.unpack_from("<Q", page, value)[0], size)

    def _overflow(self, number: int, size: int) -> None:
        start = self._take(number, _OVERFLOW)
        pages = struct.unpack_from("<I", self.data, start + 12)[0]
        if pages * self.page_size < _HEAD + size or number + pages > self.pages:
            raise ValueError(f"page {number} starts a value that does not fit")
        if any(self.seen[number + 1 : number + pages]):
            raise ValueError(f"page {number} starts a value on pages already in use")
        self.seen[number + 1 : number + pages] = b"\1" * (pages - 1)

    def _check_end(self, number: int, end: int) -> None:
        if end > self.page_size:
            raise ValueError(f"page {number} has a node that ends outside the page")
