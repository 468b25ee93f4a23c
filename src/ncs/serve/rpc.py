"""The gRPC side of the server, through grpcio without generated code."""

from __future__ import annotations

import hmac
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

from caffe.device.image_file import ImageError
from caffe.utils.cli import commands
from ncs.errors import NcsError
from ncs.serve import messages, protocol
from ncs.serve.errors import RequestError
from ncs.serve.metrics import Metrics

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
THREADS = 16


class Rpc:
    """The methods of the service; each returns a response message.

    Parameters
    ----------
    service : ncs.serve.http.Service
    metrics : Metrics
    token : str
        Required in the metadata `authorization: Bearer TOKEN`; "" for none.
    """

    def __init__(self, service: Any, metrics: Metrics, token: str = "") -> None:
        self.service, self.metrics = service, metrics
        self._token = f"Bearer {token}" if token else ""
        self.types = messages.classes()

    def server(self, address: str, max_bytes: int, credentials: Any = None) -> tuple[Any, int]:
        """Return a started grpc.Server at `address`, and its port.

        Raises
        ------
        NcsError
            If the address is in use.
        """
        options = [("grpc.max_receive_message_length", max_bytes), ("grpc.so_reuseport", 0)]
        server = grpc.server(ThreadPoolExecutor(THREADS, "grpc"), options=options)
        handlers = {name: self._handler(name) for name in messages.METHODS}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
        try:
            secure = credentials is not None
            port = server.add_secure_port(address, credentials) if secure else server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise NcsError(f"gRPC cannot listen on {address}; is the port in use?")
        server.start()
        return server, port

    def _handler(self, name):
        method = getattr(self, name)

        def call(request: Any, context: Any) -> Any:
            began, status = time.perf_counter(), 200
            model = getattr(request, "model_name", "") if name == "ModelInfer" else ""
            try:
                self._check(name, context)
                return method(request)
            except RequestError as error:
                status = error.status
                context.abort(_CODES.get(status, grpc.StatusCode.UNKNOWN), str(error))
            except NcsError as error:
                status = 500
                context.abort(grpc.StatusCode.INTERNAL, str(error))
            finally:
                known = model if model in self.service.models else ""
                self.metrics.request(known, "grpc", status, time.perf_counter() - began)

        return grpc.unary_unary_rpc_method_handler(
            call, self.types[name + "Request"].FromString, self.types[name + "Response"].SerializeToString
        )

    def _check(self, name, context):
        if not self._token or name in ("ServerLive", "ServerReady"):
            return
        given = dict(context.invocation_metadata()).get("authorization", "")
        if not hmac.compare_digest(str(given).encode(), self._token.encode()):
            raise RequestError(401, "expected the metadata authorization: Bearer TOKEN")

    def ServerLive(self, request: Any) -> Any:
        """Return that the server runs."""
        return self.types["ServerLiveResponse"](live=True)

    def ServerReady(self, request: Any) -> Any:
        """Return whether the server takes requests."""
        return self.types["ServerReadyResponse"](ready=self.service.ready)

    def ModelReady(self, request: Any) -> Any:
        """Return whether a model takes requests."""
        self.service.find(request.name, request.version)
        return self.types["ModelReadyResponse"](ready=self.service.ready)

    def ServerMetadata(self, request: Any) -> Any:
        """Return name and version."""
        return self.types["ServerMetadataResponse"](name="caffe2ncs", version=commands.version())

    def ModelMetadata(self, request: Any) -> Any:
        """Return a model's inputs and outputs."""
        return self.types["ModelMetadataResponse"](**self.service.find(request.name, request.version).metadata())

    def ModelInfer(self, request: Any) -> Any:
        """Run a model."""
        model = self.service.find(request.model_name, request.model_version)
        rows = model.rows(_inputs(request))
        try:
            result = model.submit(rows).result()
        except ImageError as error:
            raise RequestError(400, str(error)) from None
        if any(output.parameters["classification"].int64_param < 0 for output in request.outputs):
            raise RequestError(400, "'classification': expected a number of classes")
        requested = [
            protocol.RequestedOutput(output.name, True, output.parameters["classification"].int64_param)
            for output in request.outputs
        ]
        response = self.types["ModelInferResponse"](model_name=model.name, model_version="1", id=request.id)
        for tensor, _ in model.outputs(result, requested, True):
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            response.raw_output_contents.append(protocol.to_bytes(tensor))
        return response


def _inputs(request):
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise RequestError(400, f"{len(request.inputs)} inputs, but {len(raw)} raw_input_contents")
    return [_tensor(entry, raw[i] if raw else None) for i, entry in enumerate(request.inputs)]


def _tensor(entry, raw):
    shape, datatype = tuple(entry.shape), entry.datatype
    protocol.check_shape(entry.name, datatype, shape)
    if raw is not None:
        return protocol.Tensor(entry.name, datatype, shape, protocol.from_bytes(raw, entry.name, datatype, shape))
    if datatype not in _CONTENTS:
        raise RequestError(400, f"input '{entry.name}': {datatype} needs raw_input_contents")
    values = getattr(entry.contents, _CONTENTS[datatype])
    if len(values) != math.prod(shape):
        raise RequestError(400, f"input '{entry.name}': shape {list(shape)} does not have {len(values)} values")
    if datatype == "BYTES":
        return protocol.Tensor(entry.name, datatype, shape, list(values))
    try:
        array = np.array(list(values), protocol.DTYPES[datatype]).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"input '{entry.name}': {error}") from None
    return protocol.Tensor(entry.name, datatype, shape, array)
