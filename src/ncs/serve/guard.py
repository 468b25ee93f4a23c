"""What every HTTP request passes: token, browsers' origin, counters and the access log."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from ncs.serve.metrics import Metrics

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")  # probes have no token


class Guard:
    """ASGI application around another one.

    Parameters
    ----------
    app : ASGI application
    token : str
        Required as `Authorization: Bearer TOKEN`; "" for none.
    metrics : Metrics
    log : callable, optional
        Receives a line of JSON per request.
    """

    def __init__(self, app: Any, token: str, metrics: Metrics, log: Callable[[str], Any] | None) -> None:
        self.app, self.metrics, self.log = app, metrics, log
        self._token = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 499  # 499: the client left before the answer
        scope["state"] = state = dict(scope.get("state") or {})

        async def counted(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal:
                await _answer(counted, *refusal)
            else:
                await self.app(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - began
            self.metrics.request(state.get("model", ""), "http", status, seconds)
            if self.log is not None:
                self.log(_line(scope, state, status, seconds))

    def _refusal(self, scope):
        headers = dict(scope["headers"])
        if b"origin" in headers:
            return 403, "requests of web pages are refused"
        given = headers.get(b"authorization", b"")
        if self._token and scope["path"] not in OPEN_PATHS and not hmac.compare_digest(given, self._token):
            return 401, "expected the header Authorization: Bearer TOKEN"
        return None


async def _answer(send, status, text):
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _line(scope, state, status, seconds):
    facts = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "client": (scope.get("client") or [""])[0],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(1e3 * seconds, 3),
    }
    return json.dumps({**facts, **state})
