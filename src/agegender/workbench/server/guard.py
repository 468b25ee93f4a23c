"""The outermost layer of the server: hosts, origins, token, limits of bodies, and headers of every response."""

from __future__ import annotations

import asyncio
import hmac
import html
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from agegender.workbench.server.settings import BODY_SECONDS, MAX_BODY, MAX_UPLOAD, Settings

COOKIE = "workbench_token"
UPLOADS = ("/predict", "/archives")  # paths below which a body may be large
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
SAFE_METHODS = ("GET", "HEAD")
Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyTooLarge(Exception):
    """A body that exceeds the limit of its path."""


class Guard:
    """ASGI middleware that refuses a request before anything of it is parsed."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        if self.settings.token and (token := _query(scope).get("token")) and scope["method"] == "GET":
            await self._exchange_token(scope, token[-1], send)
            return
        body = _Body(receive, _limit(scope["path"]))
        try:
            await self.app(scope, body.receive, _with_headers(send, body))
        except BodyTooLarge:
            if not body.answered:
                await _answer(send, 413, f"the body is larger than the limit of {body.limit} bytes")
        except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11
            if not body.answered:
                await _answer(send, 408, f"no byte of the body in {BODY_SECONDS:g} seconds")

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if not self.settings.allows_host(headers.get("host", "")):
            return 400, "this Host is not served here; open the address that the command printed"
        if scope["method"] not in SAFE_METHODS:
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return 403, "a request from another site"
            if (origin := headers.get("origin")) is not None and not _same_origin(origin, headers["host"]):
                return 403, "a request from another origin"
            if self.settings.read_only:
                return 403, "this workbench is read-only"
        elif headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "a request from another site"
        if not self._has_token(scope, headers):
            return 401, "open the address with the token that the command printed"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _limit(scope["path"]):
            return 413, f"the body is larger than the limit of {_limit(scope['path'])} bytes"
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        token = self.settings.token
        if not token:
            return True
        presented = [headers.get("authorization", "").removeprefix("Bearer ")]
        presented += [_cookie(headers.get("cookie", ""))]
        if scope["method"] == "GET":
            presented += _query(scope).get("token", [])
        return any(hmac.compare_digest(text.encode("utf-8", "replace"), token.encode()) for text in presented)

    async def _exchange_token(self, scope: Scope, token: str, send: Send) -> None:
        """Move the token from the address to a cookie, so that it is in no history and no shared address."""
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.settings.token.encode()):
            await _answer(send, 401, "a wrong token")
            return
        rest = {name: values for name, values in _query(scope).items() if name != "token"}
        path = "/" + quote(scope["path"].lstrip("/\\"))
        place = html.escape(path + ("?" + urlencode(rest, doseq=True) if rest else ""))
        cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
        # after a redirect of a link from another site the browser would not send a strict cookie; this page may
        page = f'<!DOCTYPE html><title>workbench</title><meta http-equiv="refresh" content="0;url={place}">'
        await _answer(send, 200, page, [(b"set-cookie", cookie.encode())], b"text/html; charset=utf-8")


class _Body:
    """The body of a request, counted and timed while it is received."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self.limit = receive, limit
        self.received, self.answered, self._complete = 0, False, False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # only a disconnect follows, for which a stream waits without limit
        message = await asyncio.wait_for(self._receive(), BODY_SECONDS)
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self.received > self.limit:
                raise BodyTooLarge
        return message


def _with_headers(send: Send, body: _Body) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            body.answered = True
            present = {name.lower() for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in present]
            if b"cache-control" not in present:
                more.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return wrapped


async def _answer(
    send: Send,
    status: int,
    text: str,
    more: list[tuple[bytes, bytes]] | None = None,
    kind: bytes = b"text/plain; charset=utf-8",
) -> None:
    headers = [(b"content-type", kind), (b"connection", b"close"), *(more or [])]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    data = text.encode() + b"\n"
    headers.append((b"content-length", str(len(data)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _limit(path: str) -> int:
    return MAX_UPLOAD if path.startswith(UPLOADS) else MAX_BODY


def _same_origin(origin: str, host: str) -> bool:
    return origin in (f"http://{host}", f"https://{host}")


def _query(scope: Scope) -> dict[str, list[str]]:
    try:
        return parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=100)
    except ValueError:
        return {}


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
