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

    Inputs: the net's own, FP32 (N, C, H, W) as the Transform gives it; `image`, BYTES (N) with image files, or UINT8
    (N, H, W, 3) in BGR, to which the Transform is applied.
    """

    def __init__(self, manifest: Manifest, runner: Any, limits: Limits, metrics: Metrics) -> None:
        self.manifest, self.name, self.limits = manifest, manifest.name, limits
        self.labels = list(manifest.labels)
        self._shape = tuple(manifest.shape[1:])
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
                {"name": self.manifest.input, "datatype": "FP32", "shape": [-1, *self._shape]},
                {"name": IMAGE, "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [{"name": self.manifest.output, "datatype": "FP32", "shape": [-1, len(self.labels)]}],
        }

    def needs_decoding(self, tensors: list[Tensor]) -> bool:
        """Return whether `rows` takes long enough for a thread of its own."""
        return any(tensor.datatype != "FP32" for tensor in tensors)

    def rows(self, tensors: list[Tensor]) -> np.ndarray:
        """Return the net's input float32 (N, C, H, W) for the inputs of a request.

        Raises
        ------
        RequestError
            400 if they are not what the net takes.
        """
        if len(tensors) != 1:
            raise RequestError(400, f"'{self.name}' takes one input, received {len(tensors)}")
        (tensor,) = tensors
        if tensor.name not in (self.manifest.input, IMAGE):
            raise RequestError(
                400, f"'{self.name}' has no input '{tensor.name}'; expected '{self.manifest.input}' or '{IMAGE}'"
            )
        count = tensor.shape[0] if tensor.shape else 0
        if not 1 <= count <= self.limits.images:
            raise RequestError(400, f"expected 1 to {self.limits.images} images, received shape {list(tensor.shape)}")
        if tensor.datatype == "FP32" and tensor.name == self.manifest.input:
            return self._prepared(tensor)
        return self._transformed(tensor)

    def _prepared(self, tensor):
        if tensor.shape[1:] != self._shape:
            raise RequestError(
                400, f"input '{tensor.name}': expected shape {[-1, *self._shape]}, received {list(tensor.shape)}"
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
                f"{[-1, *self._shape]} for '{self.manifest.input}', or image files (BYTES [-1]) or BGR images "
                f"(UINT8 [-1, height, width, 3]) for '{IMAGE}'",
            )
        try:
            return self.manifest.transform.batch(images)
        except CaffeError as error:
            raise RequestError(400, str(error)) from None

    def submit(self, rows: np.ndarray) -> Future:
        """Queue the rows; the Future's result goes to `outputs`."""
        return self.batcher.submit(rows)

    def outputs(self, result: np.ndarray, requested: list[RequestedOutput], binary: bool) -> list[tuple[Tensor, bool]]:
        """Return the outputs that were asked for, each with whether it is sent as binary data."""
        name = self.manifest.output
        tensor = Tensor(name, "FP32", result.shape, result)
        if not requested:
            return [(tensor, binary)]
        unknown = [output.name for output in requested if output.name != name]
        if unknown:
            raise RequestError(400, f"'{self.name}' has no output '{unknown[0]}'; expected '{name}'")
        return [
            (classification(tensor, output.classes, self.labels) if output.classes else tensor, output.binary)
            for output in requested
        ]

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
    options = {"max_batch": limits.max_batch, "hint": limits.hint} if any_batch else {}
    return ServedModel(manifest, open_runner(device, manifest, **options), limits, metrics)
