"""Starts the server: HTTP through uvicorn, gRPC if asked for; runs until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from ncs.errors import NcsError
from ncs.serve.models import Limits, ServedModel, open_model

CONNECTIONS, BACKLOG = 1024, 512


@dataclasses.dataclass
class Settings:
    """How a server listens and whom it answers; see `ncs serve --help`."""

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    token: str = ""
    certificate: str = ""
    key: str = ""
    max_bytes: int = 32 << 20
    grace: int = 30


def open_models(paths: Sequence[str], device: str, limits: Limits, metrics: Any) -> dict[str, ServedModel]:
    """Load the manifests on a device. Raises NcsError for two of one name."""
    models: dict[str, ServedModel] = {}
    try:
        for path in paths:
            model = open_model(path, device, limits, metrics)
            if model.name in models:
                model.close()
                raise NcsError(f"two nets are called '{model.name}'")
            models[model.name] = model
            metrics.gauges[model.name] = lambda batcher=model.batcher: batcher.rows
    except BaseException:
        for model in models.values():
            model.close()
        raise
    return models


def serve(
    models: dict[str, ServedModel],
    metrics: Any,
    settings: Settings,
    log: Callable[[str], Any] | None = None,
    out: TextIO | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those in work.

    Parameters
    ----------
    models : dict of str to ServedModel
        Closed at the end.
    metrics : Metrics
    settings : Settings
    log : callable, optional
        Receives a line of JSON per HTTP request.
    out : file, optional
        Receives one line per address (default: standard error).
    """
    import uvicorn

    from ncs.serve.guard import Guard
    from ncs.serve.http import Service

    service = Service(models, metrics, settings.max_bytes)
    app = Guard(service.application(), settings.token, metrics, log)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.grace,
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.key or None,
    )
    out = out or sys.stderr
    with _socket(settings) as listener, _quiet_signals():
        server = uvicorn.Server(config)
        scheme = "https" if settings.certificate else "http"
        rpc = _start_grpc(service, metrics, settings, out)
        print(
            f"Serving {', '.join(models)} at {scheme}://{_url_host(settings.host)}:{listener.getsockname()[1]}",
            file=out,
        )
        out.flush()
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            if rpc is not None:
                rpc.stop(settings.grace).wait()


@contextlib.contextmanager
def _socket(settings: Settings) -> Iterator[Any]:
    import socket

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY for TCP only
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise NcsError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    with listener:
        yield listener


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """uvicorn ends its loop at SIGINT and SIGTERM and then raises them again; a stopped server is no error."""
    previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start_grpc(service, metrics, settings, out):
    if settings.grpc_port is None:
        return None
    import grpc

    from ncs.serve.rpc import Rpc

    credentials = None
    if settings.certificate:
        with open(settings.key, "rb") as key, open(settings.certificate, "rb") as certificate:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    address = f"{_url_host(settings.host)}:{settings.grpc_port}"
    server, port = Rpc(service, metrics, settings.token).server(address, settings.max_bytes, credentials)
    print(f"gRPC at {_url_host(settings.host)}:{port}", file=out)
    return server


def _url_host(host):
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
