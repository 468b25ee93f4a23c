"""The model `faces` of `ncs serve --faces`, from an application that registers it in the group `ncs.serving`."""

from __future__ import annotations

from concurrent.futures import Future
from importlib.metadata import entry_points
from typing import Any

from ncs.errors import NcsError
from ncs.serve.errors import RequestError
from ncs.serve.models import IMAGE, ServedModel
from ncs.serve.protocol import NAMES, RequestedOutput, Tensor

GROUP = "ncs.serving"
MAX_WAITING = 64  # photographs


class Photographs:
    """A model of the server whose input is one image file, and whose outputs have a row per face."""

    def __init__(self, faces: Any) -> None:
        self.name, self._faces = faces.name, faces
        self._waiting = 0

    def metadata(self) -> dict[str, Any]:
        """Return the model's metadata."""
        outputs = [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in self._faces.outputs()]
        inputs = [{"name": IMAGE, "datatype": "BYTES", "shape": [1]}]
        return {"name": self.name, "versions": ["1"], "platform": "caffe2ncs", "inputs": inputs, "outputs": outputs}

    def needs_decoding(self, tensors: list[Tensor]) -> bool:
        """Return False: `submit` has threads of its own."""
        return False

    def rows(self, tensors: list[Tensor]) -> list[bytes]:
        """Return the image file of a request. Raises RequestError 400."""
        if len(tensors) != 1 or (tensors[0].name, tensors[0].datatype, len(tensors[0].array)) != (IMAGE, "BYTES", 1):
            raise RequestError(400, f"'{self.name}' takes one image file: the input '{IMAGE}', BYTES of shape [1]")
        return tensors[0].array

    def submit(self, rows: list[bytes]) -> Future:
        """Start the image. Raises RequestError 503 if too many wait."""
        if self._waiting >= MAX_WAITING:
            raise RequestError(503, "the queue is full; try again", {"retry-after": "1"})
        self._waiting += 1
        future = self._faces.submit(rows[0])
        future.add_done_callback(self._done)
        return future

    def _done(self, future):
        self._waiting -= 1

    def outputs(self, result: dict[str, Any], requested: list[RequestedOutput], binary: bool) -> Any:
        """Return the outputs that were asked for, each with whether it is sent as binary data."""
        wanted = requested or [RequestedOutput(name, binary) for name in result]
        unknown = [output.name for output in wanted if output.name not in result]
        if unknown:
            raise RequestError(400, f"'{self.name}' has no output '{unknown[0]}'; known: {', '.join(result)}")
        tensors = [(result[output.name], output) for output in wanted]
        return [(Tensor(o.name, NAMES[array.dtype], array.shape, array), o.binary) for array, o in tensors]

    def close(self) -> None:
        """Finish what was started."""
        self._faces.close()


def photographs(models: dict[str, ServedModel]) -> Photographs:
    """Return the model `faces` over `models`. Raises NcsError if no installed package provides it."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    if not points:
        raise NcsError(f"--faces: no installed package detects faces (entry points of the group {GROUP})")
    nets = [(model.manifest, model.submit) for model in models.values()]
    return Photographs(points[0].load()(nets))
