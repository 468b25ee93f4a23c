"""Errors that become an answer to the client."""

from __future__ import annotations

from ncs.errors import NcsError


class RequestError(NcsError):
    """A request that the server refuses; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers or {}


def busy() -> RequestError:
    """Return the error of a full queue."""
    return RequestError(503, "the queue is full; try again", {"retry-after": "1"})
