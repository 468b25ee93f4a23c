"""The nets of a server: their inputs and outputs in the protocol's terms, and what computes them."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future
from typing import Any

import numpy as np

from caffe.device.image_file import ImageError, decode_image
from caffe.errors import CaffeError
from ncs.runtime import open_runner, runner_class
from ncs.runtime.manifest import Manifest
from ncs.serve.batcher import Batcher
from ncs.serve.errors import RequestError
from ncs.serve.metrics import Metrics
from ncs.serve.protocol import RequestedOutput, Tensor, classification

IMAGE = "image"  # name of the input that takes images


@dataclasses.dataclass(frozen=True)
class Limits:
    """Images of a request, rows in the queue, rows of a batch, seconds to wait for a full one, OpenVINO's hint."""

    images: int = 256
    queue: int = 256
    max_batch: int = 16
    delay: float = 0.0
    hint: str = "throughput"


class ServedModel:
    """A compiled net behind a Batcher.

    Inputs: the net's own, FP32 (N, C, H, W) as the Transform gives it, all of them if there are several; `image`, BYTES
    (N) with image files, or UINT8 (N, H, W, 3) in BGR, to which the Transform of each input is applied. A net with
    several outputs returns all that a request names from one inference.
    """

    def __init__(self, manifest: Manifest, runner: Any, limits: Limits, metrics: Metrics) -> None:
        self.manifest, self.name, self.limits = manifest, manifest.name, limits
        self._heads = {head.output: head for head in manifest.all_heads()}
        self._columns = manifest.columns() if len(self._heads) > 1 else {manifest.output: slice(None)}
        self._shapes = {port.name: tuple(port.shape[1:]) for port in manifest.all_inputs()}
        self.batcher = Batcher(
            runner,
            limits.max_batch,
            limits.queue,
            limits.delay,
            lambda rows, seconds: metrics.batch(self.name, rows, seconds),
        )

    def metadata(self) -> dict[str, Any]:
        """Return the model's metadata."""
        return {
            "name": self.name,
            "versions": ["1"],
            "platform": f"caffe2ncs_{self.batcher.runner.device}",
            "inputs": [
                *({"name": name, "datatype": "FP32", "shape": [-1, *shape]} for name, shape in self._shapes.items()),
                {"name": IMAGE, "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [
                {"name": name, "datatype": "FP32", "shape": [-1, len(head.labels)]}
                for name, head in self._heads.items()
            ],
        }

    def needs_decoding(self, tensors: list[Tensor]) -> bool:
        """Return whether `rows` takes long enough for a thread of its own."""
        return any(tensor.datatype != "FP32" for tensor in tensors)

    def rows(self, tensors: list[Tensor]) -> np.ndarray:
        """Return the net's input float32 (N, C, H, W) for the inputs of a request; packed rows for several inputs.

        Raises
        ------
        RequestError
            400 if they are not what the net takes.
        """
        for tensor in tensors:
            if tensor.name not in (*self._shapes, IMAGE):
                raise RequestError(
                    400, f"'{self.name}' has no input '{tensor.name}'; expected {self._names} or '{IMAGE}'"
                )
        if sorted(tensor.name for tensor in tensors) not in ([IMAGE], sorted(self._shapes)):
            if len(self._shapes) == 1:
                raise RequestError(400, f"'{self.name}' takes one input, received {len(tensors)}")
            raise RequestError(400, f"'{self.name}' takes the inputs {self._names}, or only '{IMAGE}'")
        for tensor in tensors:
            count = tensor.shape[0] if tensor.shape else 0
            if not 1 <= count <= self.limits.images:
                raise RequestError(
                    400, f"expected 1 to {self.limits.images} images, received shape {list(tensor.shape)}"
                )
        if tensors[0].name == IMAGE or (len(tensors) == 1 and tensors[0].datatype != "FP32"):
            return self._transformed(tensors[0])
        return self._packed({tensor.name: self._prepared(tensor) for tensor in tensors})

    @property
    def _names(self):
        return ", ".join(f"'{name}'" for name in self._shapes)

    def _packed(self, arrays):
        """Return the only input, or the rows of several inputs."""
        if len(self._shapes) == 1:
            return arrays[self.manifest.input]
        if len({len(array) for array in arrays.values()}) > 1:
            raise RequestError(400, f"'{self.name}': expected the same number of images for the inputs {self._names}")
        return self.batcher.runner.packed(arrays)

    def _prepared(self, tensor):
        shape = self._shapes[tensor.name]
        if tensor.datatype != "FP32" or tensor.shape[1:] != shape:
            raise RequestError(
                400,
                f"input '{tensor.name}': expected shape {[-1, *shape]}, received {list(tensor.shape)} "
                f"({tensor.datatype}; expected FP32)",
            )
        return tensor.array

    def _transformed(self, tensor):
        if tensor.datatype == "BYTES":
            images = [_decoded(data, i) for i, data in enumerate(tensor.array)]
        elif tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[3] == 3 and min(tensor.shape) > 0:
            images = list(tensor.array)
        else:
            raise RequestError(
                400,
                f"input '{tensor.name}': received {tensor.datatype} {list(tensor.shape)}; expected FP32 "
                f"{[-1, *self._shapes[self.manifest.input]]} for '{self.manifest.input}', or image files (BYTES [-1]) "
                f"or BGR images (UINT8 [-1, height, width, 3]) for '{IMAGE}'",
            )
        try:
            return self._packed({port.name: port.transform.batch(images) for port in self.manifest.all_inputs()})
        except CaffeError as error:
            raise RequestError(400, str(error)) from None

    def submit(self, rows: np.ndarray) -> Future:
        """Queue the rows; the Future's result goes to `outputs`."""
        return self.batcher.submit(rows)

    def outputs(self, result: np.ndarray, requested: list[RequestedOutput], binary: bool) -> list[tuple[Tensor, bool]]:
        """Return the outputs that were asked for, each with whether it is sent as binary data."""
        unknown = [output.name for output in requested if output.name not in self._heads]
        if unknown:
            names = ", ".join(f"'{name}'" for name in self._heads)
            raise RequestError(400, f"'{self.name}' has no output '{unknown[0]}'; expected {names}")
        tensors = {}
        for name, columns in self._columns.items():
            values = np.ascontiguousarray(result[:, columns])
            tensors[name] = Tensor(name, "FP32", values.shape, values)
        if not requested:
            return [(tensor, binary) for tensor in tensors.values()]
        return [(self._requested(tensors[output.name], output), output.binary) for output in requested]

    def _requested(self, tensor, output):
        return classification(tensor, output.classes, self._heads[output.name].labels) if output.classes else tensor

    def close(self) -> None:
        """Finish what waits and release the device."""
        self.batcher.close()


def _decoded(data, index):
    try:
        return decode_image(data, name=f"image {index}")
    except ImageError as error:
        raise RequestError(400, str(error)) from None


def open_model(path: str, device: str, limits: Limits, metrics: Metrics) -> ServedModel:
    """Load a manifest on a device; devices of OpenVINO run a batch of any size up to `limits.max_batch`."""
    manifest = Manifest.read(path)
    any_batch = getattr(runner_class(device), "takes_any_batch", False)
    options: dict[str, Any] = {"max_batch": limits.max_batch, "hint": limits.hint} if any_batch else {}
    return ServedModel(manifest, open_runner(device, manifest, **options), limits, metrics)
