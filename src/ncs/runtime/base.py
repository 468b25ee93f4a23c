"""What a runner is: pictures in, numbers out, on some device; and the files of a model it may be given."""

from __future__ import annotations

import collections
import os
from typing import Any, Callable, Iterable, Iterator  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest, check_digest

_KIND_OF_SUFFIX = {
    ".xml": "xml",
    ".onnx": "onnx",
    ".blob": "blob",
    ".graph": "graph",
    ".caffemodel": "caffemodel",
    ".prototxt": "prototxt",
}
_BESIDE = {"xml": ("bin",), "prototxt": ("caffemodel",), "caffemodel": ("prototxt",)}  # read together


class Model:
    """A model by its files: kind (xml, onnx, blob, graph, caffemodel …) -> path, its output's name, its input's shape."""

    def __init__(
        self,
        files: dict[str, str],
        output: str = "",
        name: str = "",
        shape: tuple[int, ...] = (),
        hashes: dict[str, str] | None = None,
    ) -> None:
        self.files = files
        self.hashes = hashes or {}  # SHA-256 by kind, where a manifest tells it
        self.output = output
        self.name = name
        self.shape = shape  # () where no manifest tells it

    @classmethod
    def of(cls, source: Any) -> Model:
        """From a Manifest, a manifest's path (.json), a model file's path, or a list of such paths."""
        if isinstance(source, Model):
            return source
        if isinstance(source, (list, tuple)):
            parts = [cls.of(part) for part in source]
            files = {kind: path for part in parts for kind, path in part.files.items()}
            hashes = {kind: digest for part in parts for kind, digest in part.hashes.items()}
            return cls(files, name=parts[0].name, hashes=hashes)
        if not isinstance(source, Manifest):
            path = os.fspath(source)
            name, suffix = os.path.splitext(os.path.basename(path))
            if suffix != ".json":
                return cls(_one_file(path, suffix), name=name)
            source = Manifest.read(path)
        folder = os.path.abspath(source.folder)
        files = {kind: os.path.join(folder, entry.file) for kind, entry in source.artefacts.items()}
        hashes = {kind: entry.sha256 for kind, entry in source.artefacts.items()}
        return cls(files, source.output, source.name, tuple(source.shape), hashes)

    def pick(self, kinds: Iterable[str]) -> str:
        """Path of the first of `kinds` that there is, as the manifest knows it. Raises NcsError."""
        kinds = list(kinds)
        for kind in kinds:
            if kind in self.files:
                if not os.path.isfile(self.files[kind]):
                    raise NcsError(f"{self.files[kind]}: no such file")
                self._verify(kind)
                return self.files[kind]
        stick = (
            "; what it has is for a Neural Compute Stick" if set(self.files) <= {"blob", "graph"} and self.files else ""
        )
        raise NcsError(
            "'{}' has {}; this device takes {}{}".format(
                self.name, ", ".join(sorted(self.files)) or "no files", " or ".join(kinds), stick
            )
        )

    def _verify(self, kind: str) -> None:
        for each in [kind, *_BESIDE.get(kind, ())]:
            if each in self.hashes:
                check_digest(self.files[each], self.hashes[each])


def _one_file(path: str, suffix: str) -> dict[str, str]:
    if suffix not in _KIND_OF_SUFFIX:
        raise NcsError(
            "{}: not a model; a name ends in {} or, for a manifest, .json".format(
                path, ", ".join(sorted(_KIND_OF_SUFFIX))
            )
        )
    if not os.path.isfile(path):
        raise NcsError(f"{path}: no such file")
    return {_KIND_OF_SUFFIX[suffix]: path}


class Runner:
    """A model loaded on a device. `run` is the whole interface; a context manager closes it.

    `device` says what it runs on; `in_flight` how many requests `run_many` keeps under way. A subclass writes
    `_start(batch)`, which begins one request of the model's own batch size and returns a function that waits
    for its result, and `close`.
    """

    device = ""
    in_flight = 1
    batch_size = 1
    input_shape: tuple[int, ...] = ()  # (N, C, H, W), or () where neither device nor manifest tells it
    takes_batch = False  # whether __init__ has a `batch`

    def run(self, batch: np.ndarray) -> np.ndarray:
        """float32 (N, C, H, W), any N -> float32 (N, K)."""
        batch = np.ascontiguousarray(batch, np.float32)
        if batch.ndim != 4 or not len(batch):
            raise NcsError(f"a batch is N x C x H x W with N at least 1, received {batch.shape}")
        return np.concatenate(list(self._in_order(self._pieces(batch))))

    def run_many(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """One result a batch, in order, with `in_flight` requests under way; batches are taken as needed."""
        counts: collections.deque[int] = collections.deque()
        pieces = self._counted(batches, counts)
        waiting: list[np.ndarray] = []
        for result in self._in_order(pieces):
            waiting.append(result)
            if sum(map(len, waiting)) == counts[0]:
                counts.popleft()
                yield np.concatenate(waiting)
                waiting = []

    def submit(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin `batch` and return a function that waits for its result; at most `in_flight` may be open."""
        pieces = list(self._pieces(np.ascontiguousarray(batch, np.float32)))
        if len(pieces) > 1:
            result = self.run(batch)
            return lambda: result
        wait, count = self._start(pieces[0][0]), pieces[0][1]
        return lambda: wait()[:count]

    def temperature(self) -> float | None:
        """Degrees Celsius of a stick, where it tells."""
        return None

    def close(self) -> None:
        """Give the device back."""

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        raise NotImplementedError

    def _counted(self, batches: Iterable[np.ndarray], counts: Any) -> Iterator[tuple[np.ndarray, int]]:
        for batch in batches:
            batch = np.ascontiguousarray(batch, np.float32)
            counts.append(len(batch))
            yield from self._pieces(batch)

    def _pieces(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """`batch` cut to the model's batch size, the last piece filled up, each with its picture count."""
        size = self.batch_size
        for begin in range(0, len(batch), size):
            piece = batch[begin : begin + size]
            count = len(piece)
            if count < size:
                piece = np.concatenate([piece, np.zeros((size - count,) + piece.shape[1:], np.float32)])
            yield piece, count

    def _in_order(self, pieces: Iterable[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
        under_way: collections.deque[tuple[Callable[[], np.ndarray], int]] = collections.deque()
        for piece, count in pieces:
            if len(under_way) >= self.in_flight:
                wait, earlier = under_way.popleft()
                yield wait()[:earlier]
            under_way.append((self._start(piece), count))
        while under_way:
            wait, count = under_way.popleft()
            yield wait()[:count]


def rows(result: np.ndarray, count: int) -> np.ndarray:
    """A device's answer as float32 (count, K), in memory of its own."""
    return np.array(result, np.float32).reshape(count, -1)


def only_input(path: str, names: list[str]) -> str:
    """The name of a model's input; one that has several is refused."""
    if len(names) != 1:
        raise NcsError("%s has %d inputs (%s); runners feed pictures into one" % (path, len(names), ", ".join(names)))
    return names[0]


def check_shape(batch: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse pictures of another size than the model's input."""
    if tuple(batch.shape[1:]) != tuple(shape[1:]):
        raise NcsError(
            "the model takes pictures of {}, received {}".format(
                "x".join(map(str, shape[1:])), "x".join(map(str, batch.shape[1:]))
            )
        )
