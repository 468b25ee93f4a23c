"""The base class of all runners, and the model files that a runner can load."""

from __future__ import annotations

import collections
import os
from typing import Any, Callable, Dict, Iterable, Iterator, Sequence, Union  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest, check_digest
from ncs.runtime.manifest_parts import complete_set

Batch = Union[np.ndarray, Dict[str, np.ndarray]]  # noqa: UP006, UP007 - evaluated by Python 3.7
_KIND_OF_SUFFIX = {
    ".xml": "xml",
    ".onnx": "onnx",
    ".blob": "blob",
    ".graph": "graph",
    ".caffemodel": "caffemodel",
    ".prototxt": "prototxt",
}
_COMPANIONS = {
    "xml": ("bin",),
    "xml_v10": ("bin_v10",),
    "prototxt": ("caffemodel",),
    "caffemodel": ("prototxt",),
}  # kinds that are read together


class Model:
    """The files of a model, kind (xml, onnx, blob, graph …) -> path, with its input and output names and input shape.

    `inputs` and `outputs` are all of them in a manifest's order, () without a manifest.
    """

    def __init__(
        self,
        files: dict[str, str],
        output: str = "",
        name: str = "",
        shape: tuple[int, ...] = (),
        hashes: dict[str, str] | None = None,
        outputs: Sequence[str] = (),
        inputs: Sequence[str] = (),
    ) -> None:
        self.outputs = tuple(outputs) or ((output,) if output else ())
        self.inputs = tuple(inputs)
        self.files = files
        self.hashes = hashes or {}  # SHA-256 by kind; empty without a manifest
        self.output = output
        self.name = name
        self.shape = shape  # () without a manifest

    @classmethod
    def of(cls, source: Any) -> Model:
        """Create a Model from a Manifest, its path (.json), a model file, or a list of such paths."""
        if isinstance(source, Model):
            return source
        if isinstance(source, (list, tuple)):
            models = [cls.of(path) for path in source]
            files = {kind: path for model in models for kind, path in model.files.items()}
            hashes = {kind: digest for model in models for kind, digest in model.hashes.items()}
            return cls(files, name=models[0].name, hashes=hashes)
        if not isinstance(source, Manifest):
            path = os.fspath(source)
            name, suffix = os.path.splitext(os.path.basename(path))
            if suffix != ".json":
                return cls(_one_file(path, suffix), name=name)
            source = Manifest.read(path)
        folder = os.path.abspath(source.folder)
        files = {kind: os.path.join(folder, entry.file) for kind, entry in source.artefacts.items()}
        hashes = {kind: entry.sha256 for kind, entry in source.artefacts.items()}
        outputs = [head.output for head in source.all_heads()]
        inputs = [port.name for port in source.all_inputs()]
        return cls(files, source.output, source.name, tuple(source.shape), hashes, outputs, inputs)

    def select_outputs(self, available: Sequence[str]) -> list[str]:
        """Return the outputs to read: those of the manifest, in its order; without a manifest the first available one.

        Raises NcsError if one of several outputs of a manifest is missing.
        """
        missing = [name for name in self.outputs if name not in available]
        if len(self.outputs) > 1 and missing:
            raise NcsError(
                f"'{self.name}' has no output {', '.join(missing)}; it has {', '.join(available)}: compile again"
            )
        return [available[0]] if missing or not self.outputs else list(self.outputs)

    def pick(self, kinds: Iterable[str]) -> str:
        """Return the path of the first available kind of `kinds`.

        Raises NcsError if there is none, or if the file does not have the SHA-256 of its manifest.
        """
        kinds = list(kinds)
        for kind in kinds:
            if kind in self.files:
                if not os.path.isfile(self.files[kind]):
                    raise NcsError(f"{self.files[kind]}: no such file")
                self._verify(kind)
                return self.files[kind]
        available = ", ".join(sorted(self.files)) or "no files"
        hint = (
            "; its files are for a Neural Compute Stick" if self.files and set(self.files) <= {"blob", "graph"} else ""
        )
        raise NcsError(f"'{self.name}' has {available}; this device needs {' or '.join(kinds)}{hint}")

    def _verify(self, kind: str) -> None:
        for name in (kind, *_COMPANIONS.get(kind, ())):
            if name in self.hashes:
                check_digest(self.files[name], self.hashes[name])


def _one_file(path: str, suffix: str) -> dict[str, str]:
    if suffix not in _KIND_OF_SUFFIX:
        suffixes = ", ".join(sorted(_KIND_OF_SUFFIX))
        raise NcsError(f"{path}: not a model file; expected the suffix {suffixes}, or .json for a manifest")
    complete_set(path)
    if not os.path.isfile(path):
        raise NcsError(f"{path}: no such file")
    return {_KIND_OF_SUFFIX[suffix]: path}


class Runner:
    """A model loaded on a device; use it as a context manager, or call `close`.

    `device` is the device's name; `in_flight` is the number of requests that `run_many` keeps in flight. A subclass
    implements `close` and `_start(batch)`, which starts one request of the model's batch size and returns a function
    that waits for its result.

    A model with several inputs takes a dictionary of arrays by name wherever a batch is expected. The values of several
    outputs are next to each other in one array; `Manifest.columns` names them.
    """

    device = ""
    in_flight = 1
    batch_size = 1
    input_shape: tuple[int, ...] = ()  # (N, C, H, W) of the first input, or () if unknown
    input_shapes: dict[str, tuple[int, ...]] = {}  # of every input by name, if the model has several
    output_shape: tuple[int, ...] = ()  # with the batch axis, or () if unknown
    other_outputs: tuple[str, ...] = ()  # outputs of a file without a manifest that are not read
    takes_batch = False  # whether __init__ has a parameter `batch`
    takes_any_batch = False  # whether __init__ has a parameter `max_batch`

    def run(self, batch: Batch) -> np.ndarray:
        """Run the model on a batch of any size.

        Parameters
        ----------
        batch : numpy.ndarray, or dict of str to numpy.ndarray
            Input (N, C, H, W), N >= 1; converted to float32. A dictionary of all inputs for a model with several.

        Returns
        -------
        numpy.ndarray
            Output (N, K), float32; several outputs next to each other.

        Raises
        ------
        NcsError
            The shape does not match the model's input.
        DeviceLostError
            The device stopped responding.
        """
        return np.concatenate(list(self._run_chunks(self._split(self.packed(batch)))))

    def packed(self, batch: Batch) -> np.ndarray:
        """Return a batch as one float32 array: (N, C, H, W), or (N, values of all inputs) for several inputs."""
        if not self.input_shapes:
            array = np.ascontiguousarray(batch, np.float32)
            if array.ndim != 4 or not len(array):
                raise NcsError(f"expected a batch of shape (N, C, H, W) with N >= 1, received {array.shape}")
            return array
        total = sum(int(np.prod(shape[1:])) for shape in self.input_shapes.values())
        if isinstance(batch, np.ndarray) and batch.ndim == 2 and batch.shape[1] == total and len(batch):
            return np.ascontiguousarray(batch, np.float32)  # packed before
        if not isinstance(batch, dict) or sorted(batch) != sorted(self.input_shapes):
            received = ", ".join(batch) if isinstance(batch, dict) else "one array"
            raise NcsError(f"expected a dictionary of the inputs {', '.join(self.input_shapes)}, received {received}")
        arrays = {name: np.ascontiguousarray(batch[name], np.float32) for name in self.input_shapes}
        for name, array in arrays.items():
            check_shape(array, self.input_shapes[name])
        if len({len(array) for array in arrays.values()}) != 1:
            raise NcsError("expected arrays of one batch size for all inputs")
        return np.concatenate([array.reshape(len(array), -1) for array in arrays.values()], axis=1)

    def feeds(self, batch: np.ndarray, name: str) -> dict[str, np.ndarray]:
        """Return {input: array} of a packed batch; `name` is the input of a model that has only one.

        Raises NcsError if an image does not have the size of the model's input.
        """
        if not self.input_shapes:
            check_shape(batch, self.input_shape)
            return {name: batch}
        sizes = [int(np.prod(shape[1:])) for shape in self.input_shapes.values()]
        parts = np.split(batch, np.cumsum(sizes)[:-1], axis=1)
        return {
            name: np.ascontiguousarray(part.reshape(len(batch), *shape[1:]))
            for part, (name, shape) in zip(parts, self.input_shapes.items())
        }

    def set_outputs(self, model: Model, available: Sequence[str]) -> list[str]:
        """Return the outputs to read (see `Model.select_outputs`), and note the others."""
        chosen = model.select_outputs(available)
        self.other_outputs = tuple(name for name in available if name not in chosen)
        return chosen

    def set_inputs(self, model: Model, shapes: dict[str, tuple[int, ...]]) -> str:
        """Set the shapes and the batch size from the model's inputs, in its manifest's order; return the first's name.

        Raises NcsError for a file with several inputs without a manifest that describes them.
        """
        names = [name for name in model.inputs if name in shapes] if len(model.inputs) > 1 else []
        if len(names) != len(shapes):
            names = [only_input(model.name, list(shapes))]
        self.input_shape = tuple(shapes[names[0]])
        self.batch_size = self.input_shape[0]
        self.input_shapes = {name: tuple(shapes[name]) for name in names} if len(names) > 1 else {}
        return names[0]

    def run_many(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Yield one output per batch, in order, with `in_flight` requests in flight; batches are consumed lazily."""
        counts: collections.deque[int] = collections.deque()
        chunks = self._split_all(batches, counts)
        results: list[np.ndarray] = []
        for result in self._run_chunks(chunks):
            results.append(result)
            if sum(map(len, results)) == counts[0]:
                counts.popleft()
                yield np.concatenate(results)
                results = []

    def submit(self, batch: Batch) -> Callable[[], np.ndarray]:
        """Start `batch` and return a function that waits for its output; at most `in_flight` may be pending."""
        return self.submit_packed(self.packed(batch))

    def submit_packed(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Do what `submit` does with a result of `packed`."""
        chunks = list(self._split(batch))
        if len(chunks) > 1:
            result = np.concatenate(list(self._run_chunks(chunks)))
            return lambda: result
        wait, count = self._start(chunks[0][0]), chunks[0][1]
        return lambda: wait()[:count]

    def temperature(self) -> float | None:
        """Return the temperature of the stick in degrees Celsius, or None if it is unknown."""
        return None

    def close(self) -> None:
        """Release the device."""

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        raise NotImplementedError

    def _split_all(self, batches: Iterable[Batch], counts: Any) -> Iterator[tuple[np.ndarray, int]]:
        for batch in batches:
            array = self.packed(batch)
            counts.append(len(array))
            yield from self._split(array)

    def _split(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Split `batch` into chunks of the model's batch size (zero-padded), each with its number of images."""
        size = self.batch_size
        for begin in range(0, len(batch), size):
            chunk = batch[begin : begin + size]
            count = len(chunk)
            if count < size:
                chunk = np.concatenate([chunk, np.zeros((size - count,) + chunk.shape[1:], np.float32)])
            yield chunk, count

    def _run_chunks(self, chunks: Iterable[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
        """Yield the outputs of the chunks in order, with `in_flight` requests in flight."""
        pending: collections.deque[tuple[Callable[[], np.ndarray], int]] = collections.deque()
        for chunk, count in chunks:
            if len(pending) >= self.in_flight:
                wait, pending_count = pending.popleft()
                yield wait()[:pending_count]
            pending.append((self._start(chunk), count))
        while pending:
            wait, count = pending.popleft()
            yield wait()[:count]


def rows(results: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Copy a device's outputs into one float32 array (count, K), next to each other."""
    arrays = [np.array(result, np.float32).reshape(count, -1) for result in results]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)


def fixed_shape(sizes: Iterable[Any]) -> tuple[int, ...]:
    """Return a model's shape as integers, or () if one of its sizes is dynamic (a name, None or negative)."""
    sizes = tuple(sizes)
    return sizes if all(isinstance(size, int) and size >= 0 for size in sizes) else ()


def only_input(path: str, names: list[str]) -> str:
    """Return the name of a model's only input. Raises NcsError for a model with several inputs."""
    if len(names) != 1:
        raise NcsError(
            f"{path} has {len(names)} inputs ({', '.join(names)}); give its manifest (.json), which describes them all"
        )
    return names[0]


def check_shape(batch: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise NcsError if the images of `batch` do not have the size of the model's input."""
    if tuple(batch.shape[1:]) != tuple(shape[1:]):
        expected, received = ("x".join(map(str, sizes[1:])) for sizes in (shape, batch.shape))
        raise NcsError(f"the model expects images of {expected}, received {received}")
