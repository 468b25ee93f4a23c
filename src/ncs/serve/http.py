"""The HTTP side of the server: the protocol's routes as a Starlette application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from caffe.device.image_file import ImageError
from caffe.utils.cli import commands
from ncs.errors import NcsError
from ncs.serve import protocol
from ncs.serve.errors import RequestError
from ncs.serve.metrics import Metrics

_BINARY = "inference-header-content-length"
# How much of a refused body is read and dropped, because most clients read the answer after they have sent everything.
DISCARD, DISCARD_SECONDS = 4, 5.0


class Service:
    """The models of a server by name, and the routes over them.

    Parameters
    ----------
    models : mapping of str to ServedModel
    metrics : Metrics
    max_bytes : int
        Of a request.
    """

    def __init__(self, models: Mapping[str, Any], metrics: Metrics, max_bytes: int) -> None:
        self.models, self.metrics, self.max_bytes = models, metrics, max_bytes
        self.ready = True
        self._pool = ThreadPoolExecutor(max(1, os.cpu_count() or 1), "decode")

    def application(self) -> Starlette:
        """Return the ASGI application."""
        model = "/v2/models/{name}"
        routes = [
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._ready),
            Route("/v2", self._server),
            Route("/metrics", self._metrics),
            *(Route(path + "/ready", self._model_ready) for path in (model, model + "/versions/{version}")),
            *(Route(path + "/infer", self._infer, methods=["POST"]) for path in (model, model + "/versions/{version}")),
            *(Route(path, self._model) for path in (model, model + "/versions/{version}")),
        ]
        handlers: Any = {RequestError: _refused, HTTPException: _missing, ClientDisconnect: _gone, Exception: _failed}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.ready = False
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Finish what waits and release the devices."""
        self._pool.shutdown()
        for model in reversed(list(self.models.values())):  # `faces` uses the nets
            model.close()

    def find(self, name: str, version: str = "") -> Any:
        """Return the model, or raise RequestError 404."""
        if name not in self.models or version not in ("", "1"):
            known = ", ".join(self.models)
            raise RequestError(404, f"no model '{name}'{f' version {version}' if version else ''}; known: {known}")
        return self.models[name]

    async def _live(self, request: Request) -> Response:
        return Response(status_code=200)

    async def _ready(self, request: Request) -> Response:
        return Response(status_code=200 if self.ready else 503)

    async def _server(self, request: Request) -> Response:
        return _json({"name": "caffe2ncs", "version": commands.version(), "extensions": ["binary_tensor_data"]})

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _model(self, request: Request) -> Response:
        return _json(self.find(**request.path_params).metadata())

    async def _model_ready(self, request: Request) -> Response:
        self.find(**request.path_params)
        return Response(status_code=200 if self.ready else 503)

    async def _infer(self, request: Request) -> Response:
        model = self.find(**request.path_params)
        state = request.scope["state"]
        state["model"] = model.name
        body = await self._body(request)
        parsed = protocol.parse(body, _header_length(request))
        if parsed.id:
            state["id"] = parsed.id
        if model.needs_decoding(parsed.inputs):
            rows = await asyncio.get_running_loop().run_in_executor(self._pool, model.rows, parsed.inputs)
        else:
            rows = model.rows(parsed.inputs)
        state["images"] = len(rows)
        try:
            result = await asyncio.wrap_future(model.submit(rows))
        except ImageError as error:
            raise RequestError(400, str(error)) from None
        outputs = model.outputs(result, parsed.outputs, parsed.binary)
        content, length = protocol.encode(model.name, outputs, parsed.id)
        if length is None:
            return Response(content, media_type="application/json")
        return Response(content, headers={_BINARY: str(length)}, media_type="application/octet-stream")

    async def _body(self, request):
        """Read the body up to the limit."""
        refusal = None
        declared = request.headers.get("content-length", "")
        if request.headers.get("content-encoding", "identity") != "identity":
            refusal = RequestError(415, "compressed requests are not supported")
        elif declared.isdigit() and int(declared) > self.max_bytes:
            refusal = self._too_large()
        parts: list[bytes] = []
        size, end = 0, time.monotonic() + DISCARD_SECONDS
        async for part in request.stream():
            size += len(part)
            if size > self.max_bytes:
                refusal, parts = refusal or self._too_large(), []
            if refusal is None:
                parts.append(part)
            elif size > DISCARD * self.max_bytes or time.monotonic() > end:
                break
        if refusal is not None:
            raise refusal
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self):
        return RequestError(413, f"a request may have {self.max_bytes} bytes", {"connection": "close"})


def _header_length(request):
    text = request.headers.get(_BINARY)
    if text is None:
        return None
    if not text.isdigit():
        raise RequestError(400, f"{_BINARY}: expected a number, received '{text}'")
    return int(text)


def _json(facts, status=200, headers=None):
    return Response(json.dumps(facts), status, headers, "application/json")


def _refused(request, error):
    return _json({"error": str(error)}, error.status, error.headers)


def _missing(request, error):
    return _json({"error": str(error.detail)}, error.status_code, error.headers)


def _gone(request, error):
    return Response(status_code=499)


def _failed(request, error):
    text = str(error) if isinstance(error, NcsError) else "internal error"
    return _json({"error": text}, 500)
