"""Run the server with uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from agegender.errors import AgeGenderError
from agegender.workbench.server.app import create_app
from agegender.workbench.server.settings import Settings

HEADER_SECONDS = 10.0  # until a connection has sent the header of its first request
MAX_CONNECTIONS = 512


def serve(settings: Settings, started: Callable[[int], None]) -> None:
    """Serve until Ctrl-C; `started` is called with the port once connections are accepted."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        """HTTP/1.1 that closes a connection which sends no complete header."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._header_timer = asyncio.get_running_loop().call_later(HEADER_SECONDS, self._check_header)

        def _check_header(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._header_timer.cancel()
            super().connection_lost(exc)

    listener = _listen(settings)
    config = uvicorn.Config(
        create_app(settings),
        http=Protocol,
        ws="none",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    started(listener.getsockname()[1])
    server.run([listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise AgeGenderError(
            f"{settings.host}:{settings.port}: {error.strerror}; choose another --port, 0 takes a free one"
        ) from None
    listener.listen(128)
    return listener
