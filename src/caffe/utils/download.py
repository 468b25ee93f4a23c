"""Download files of known size and SHA-256: resume interrupted transfers, verify before use."""

from __future__ import annotations

import hashlib
import http.client
import http.cookiejar
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Protocol

from caffe.errors import CaffeError
from caffe.utils.cli.commands import version
from caffe.utils.cli.progress import Progress
from caffe.utils.google_drive import next_address

MAX_ATTEMPTS = 5  # consecutive attempts per address without a new byte
TIMEOUT = 60  # seconds without a byte
_BLOCK_BYTES = 1 << 16
_MAX_PAGE_BYTES = 1 << 20
_CONNECTION_ERRORS = (OSError, http.client.HTTPException)  # URLError, timeouts and resets are OSErrors


class _AddressFailed(Exception):
    """The file cannot be downloaded from this address; the text gives the reason."""


class Source(Protocol):
    """A file to download: its name, addresses, size in bytes and SHA-256."""

    @property
    def file(self) -> str: ...
    @property
    def urls(self) -> Sequence[str]: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


_ADVICE = "download it manually and pass it with --from FILE, or pass another address with --url"


def fetch(
    source: Source,
    folder: str,
    urls: Sequence[str] | None = None,
    wait: float = 2.0,
    advice: str = _ADVICE,
) -> str:
    """Download `source` to `folder` unless a valid copy exists; return its path.

    An incomplete download is kept as <file>.part; a later call resumes it.

    Parameters
    ----------
    source : Source
    folder : str
        Created if it does not exist.
    urls : sequence of str, optional
        Addresses to use instead of `source.urls`.
    wait : float
        Seconds before the second attempt; doubled before each further one.
    advice : str
        Last line of the error message.

    Returns
    -------
    str

    Raises
    ------
    CaffeError
        If no address gives the file.
    """
    path = os.path.join(folder, source.file)
    if os.path.isfile(path) and is_good(path, source.size, source.sha256):
        return path
    os.makedirs(folder, exist_ok=True)
    errors = []
    for url in urls or source.urls:
        try:
            _fetch_from(url, path + ".part", source, wait)
        except _AddressFailed as error:
            errors.append(f"{url}: {error}")
            continue
        os.replace(path + ".part", path)
        return path
    raise CaffeError("{} could not be downloaded:\n  {}\n{}".format(source.file, "\n  ".join(errors), advice))


def is_good(path: str, size: int, sha256: str) -> bool:
    """Return whether a file has this size and SHA-256."""
    return os.path.getsize(path) == size and sha256_of(path) == sha256


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _fetch_from(url, part, source, wait):
    """Download to `part` and verify it; raise _AddressFailed if that fails."""
    resumed = _size(part) > 0
    while True:
        _complete(url, part, source, wait)
        if is_good(part, source.size, source.sha256):
            return
        received = f"{_size(part)} bytes with SHA-256 {sha256_of(part)}"
        os.unlink(part)
        if not resumed:
            raise _AddressFailed(f"expected {source.size} bytes with SHA-256 {source.sha256}, received {received}")
        resumed = False  # the data of an earlier run may be wrong: start over once


def _complete(url, part, source, wait):
    """Download until `part` has the source's size."""
    if _size(part) > source.size:
        os.unlink(part)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    opener.addheaders = [("User-Agent", f"agegender/{version()}")]
    failed_attempts = 0
    with Progress("Fetching", source.size, "bytes", start=_size(part)) as progress:
        while _size(part) < source.size:
            size_before = _size(part)
            try:
                _receive(opener, url, part, source.size, progress)
                reason = f"the connection ended after {_size(part)} of {source.size} bytes"
            except _CONNECTION_ERRORS as error:
                reason = _reason(error)
            failed_attempts = 0 if _size(part) > size_before else failed_attempts + 1
            if failed_attempts >= MAX_ATTEMPTS:
                raise _AddressFailed(f"{reason} (after {MAX_ATTEMPTS} attempts)")
            if _size(part) < source.size:
                time.sleep(wait * 2**failed_attempts)


def _receive(opener, url, part, size, progress):
    """Append the data of one connection to `part` until the connection ends or breaks."""
    with _open(opener, url, _size(part)) as response:
        if response.status == 206 and not _starts_at(response, _size(part)):
            raise _AddressFailed("the response has a different range than requested")
        with open(part, "ab" if response.status == 206 else "wb") as stream:
            progress.done = stream.tell()
            while True:
                block = response.read(_BLOCK_BYTES)
                if not block:
                    return
                if stream.tell() + len(block) > size:
                    stream.close()
                    os.unlink(part)
                    raise _AddressFailed(f"expected {size} bytes, received more")
                stream.write(block)
                progress.step(len(block))


def _open(opener, url, offset, pages=3):
    """Open the response that contains the file; follow redirects and confirmation pages."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            return _open(opener, url, 0, pages)
        if error.code in (408, 429) or error.code >= 500:
            raise  # temporary: the caller retries
        raise _AddressFailed(f"HTTP {error.code} {error.reason}") from None
    if response.headers.get_content_type() != "text/html":
        return response
    with response:
        page = response.read(_MAX_PAGE_BYTES).decode("utf-8", "replace")
    address = next_address(page, response.url)
    if address is None or pages == 0:
        raise _AddressFailed("received a web page instead of the file (download limit reached, or the file is gone)")
    return _open(opener, address, offset, pages - 1)


def _starts_at(response, offset):
    return (response.headers.get("Content-Range") or "").replace(" ", "").startswith(f"bytes{offset}-")


def _size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error) or type(error).__name__
