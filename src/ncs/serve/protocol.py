"""The Open Inference Protocol (KServe v2) with its binary tensor extension: bytes to tensors and back."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import struct
from typing import Any

import numpy as np

from ncs.serve.errors import RequestError

DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
MAX_ELEMENTS = 1 << 31
MAX_AXES = 32


@dataclasses.dataclass
class Tensor:
    """A named array; for BYTES, `array` is a list of bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: Any


@dataclasses.dataclass
class RequestedOutput:
    """An output that the client asks for: as binary data, or the `classes` largest values as "value:index:label"."""

    name: str
    binary: bool = False
    classes: int = 0


@dataclasses.dataclass
class InferRequest:
    """A parsed request; no `outputs` stands for all of them."""

    inputs: list[Tensor]
    outputs: list[RequestedOutput]
    id: str = ""
    binary: bool = False


def parse(body: bytes, header_length: int | None) -> InferRequest:
    """Parse the body of an inference request.

    Parameters
    ----------
    body : bytes
    header_length : int, optional
        Length of the JSON part (Inference-Header-Content-Length); the tensors' bytes follow it.

    Raises
    ------
    RequestError
        With status 400 and what is wrong.
    """
    length = len(body) if header_length is None else header_length
    if not 0 <= length <= len(body):
        raise RequestError(400, f"Inference-Header-Content-Length is {length}, the body has {len(body)} bytes")
    try:
        facts = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the request is not JSON: {error}") from None
    inputs = _field(facts, "inputs", list)
    if not inputs:
        raise RequestError(400, "expected at least one input")
    rest, tensors = memoryview(body)[length:], []
    for entry in inputs:
        tensor, used = _tensor(entry, rest)
        tensors.append(tensor)
        rest = rest[used:]
    if len(rest):
        raise RequestError(400, f"{len(rest)} bytes after the last input")
    binary = bool(_parameters(facts).get("binary_data_output"))
    outputs = [_requested(entry, binary) for entry in _field(facts, "outputs", list, [])]
    return InferRequest(tensors, outputs, str(facts.get("id", "")), binary)


def _field(facts, name, kind, default=None):
    if not isinstance(facts, dict):
        raise RequestError(400, f"expected a JSON object, received {type(facts).__name__}")
    value = facts.get(name, default)
    if not isinstance(value, kind):
        raise RequestError(400, f"'{name}': expected {_TYPES[kind]}, received {json.dumps(value)[:80]}")
    return value


_TYPES = {list: "a list", dict: "an object", str: "a string"}


def _parameters(facts):
    return _field(facts, "parameters", dict, {})


def _requested(entry, binary):
    parameters = _parameters(entry)
    classes = parameters.get("classification", 0)
    if not isinstance(classes, int) or classes < 0:
        raise RequestError(400, f"'classification': expected a number of classes, received {classes!r}")
    return RequestedOutput(_field(entry, "name", str), bool(parameters.get("binary_data", binary)), classes)


def _tensor(entry, rest):
    """Return the Tensor of a JSON entry and how many bytes of `rest` it used."""
    name, datatype = _field(entry, "name", str), _field(entry, "datatype", str)
    shape = tuple(_field(entry, "shape", list))
    check_shape(name, datatype, shape)
    count = math.prod(shape)
    size = _parameters(entry).get("binary_data_size")
    if size is None:
        return Tensor(name, datatype, shape, _from_json(entry, name, datatype, shape, count)), 0
    if not isinstance(size, int) or not 0 <= size <= len(rest):
        raise RequestError(400, f"input '{name}': binary_data_size is {size}, {len(rest)} bytes are left")
    return Tensor(name, datatype, shape, from_bytes(rest[:size], name, datatype, shape)), size


def check_shape(name: str, datatype: str, shape: tuple[Any, ...]) -> None:
    """Raise RequestError for an unknown datatype, and for a shape that an array cannot have."""
    valid = len(shape) <= MAX_AXES and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_ELEMENTS for size in shape
    )
    if not valid:
        raise RequestError(400, f"input '{name}': invalid shape {str(list(shape))[:80]}: not supported")
    if math.prod(shape) > MAX_ELEMENTS or (datatype != "BYTES" and datatype not in DTYPES):
        raise RequestError(400, f"input '{name}': datatype {datatype} of shape {list(shape)} is not supported")


def from_bytes(data: memoryview | bytes, name: str, datatype: str, shape: tuple[int, ...]) -> Any:
    """Return the array, or for BYTES the list of bytes, in the protocol's raw representation."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return _elements(memoryview(data), name, count)
    dtype = np.dtype(DTYPES[datatype]).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        raise RequestError(
            400,
            f"input '{name}': {datatype} of shape {list(shape)} has {count * dtype.itemsize} bytes, not {len(data)}",
        )
    return np.frombuffer(data, dtype).reshape(shape)


def _elements(data, name, count):
    """Split the raw representation of BYTES: each element is its length (4 bytes, little endian) and its content."""
    elements: list[bytes] = []
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise RequestError(400, f"input '{name}': the length of element {len(elements)} is truncated")
        (length,) = struct.unpack_from("<I", data, position)
        position += 4
        if position + length > len(data):
            raise RequestError(400, f"input '{name}': element {len(elements)} is truncated")
        elements.append(bytes(data[position : position + length]))
        position += length
    if len(elements) != count:
        raise RequestError(400, f"input '{name}': the shape has {count} elements, the data {len(elements)}")
    return elements


def _from_json(entry, name, datatype, shape, count):
    data = _field(entry, "data", list)
    if datatype == "BYTES":
        flat = _flat(data, name)
        if len(flat) != count or not all(isinstance(text, str) for text in flat):
            raise RequestError(400, f"input '{name}': expected {count} strings in base64")
        try:
            return [base64.b64decode(text, validate=True) for text in flat]
        except ValueError as error:
            raise RequestError(400, f"input '{name}': not base64: {error}") from None
    try:
        array: np.ndarray = np.asarray(data, DTYPES[datatype])
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(400, f"input '{name}': {error}") from None
    if array.size != count:
        raise RequestError(400, f"input '{name}': shape {list(shape)} has {count} values, the data {array.size}")
    return array.reshape(shape)


def _flat(data, name, depth=MAX_AXES):
    if not depth:
        raise RequestError(400, f"input '{name}': expected at most {MAX_AXES} axes")
    return [item for part in data for item in (_flat(part, name, depth - 1) if isinstance(part, list) else [part])]


def to_bytes(tensor: Tensor) -> bytes:
    """Return the protocol's raw representation of a tensor."""
    if tensor.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(item)) + item for item in tensor.array)
    return np.ascontiguousarray(tensor.array).tobytes()


def encode(name: str, outputs: list[tuple[Tensor, bool]], request_id: str = "") -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON part if tensors follow it as binary data.

    Parameters
    ----------
    name : str
        Of the model.
    outputs : list of (Tensor, bool)
        Each with whether it is sent as binary data.
    request_id : str
    """
    entries, parts = [], []
    for tensor, binary in outputs:
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary:
            parts.append(to_bytes(tensor))
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        elif tensor.datatype == "BYTES":
            entry["data"] = [item.decode("utf-8", "replace") for item in tensor.array]
        else:
            entry["data"] = np.ravel(tensor.array).tolist()
        entries.append(entry)
    facts: dict[str, Any] = {"model_name": name, "model_version": "1", "outputs": entries}
    if request_id:
        facts["id"] = request_id
    header = json.dumps(facts).encode()
    return b"".join([header, *parts]), len(header) if parts else None


def classification(tensor: Tensor, classes: int, labels: list[str]) -> Tensor:
    """Return the `classes` largest values of each row as BYTES "value:index:label", as Triton's extension does."""
    rows = np.atleast_2d(tensor.array)
    count = min(classes, rows.shape[-1])
    order = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    items = [
        f"{row[i]:f}:{i}:{labels[i] if i < len(labels) else ''}".encode()
        for row, best in zip(rows, order)
        for i in best
    ]
    return Tensor(tensor.name, "BYTES", (len(rows), count), items)
