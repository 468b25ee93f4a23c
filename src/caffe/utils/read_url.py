"""Read a small file from an http or https address, with limits on its size and on the time."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

from caffe.errors import CaffeError
from caffe.utils.cli.commands import version
from caffe.utils.input_file import shown

SCHEMES = ("http://", "https://")
MAX_BYTES = 64 << 20
MAX_SECONDS = 60.0  # for the whole file, and for each connection
_BLOCK_BYTES = 1 << 16
_HANDLERS = (  # urllib's default opener would also follow redirections to ftp addresses
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
)


def is_url(name: object) -> bool:
    """Return whether `name` is text that starts like an http or https address."""
    return isinstance(name, str) and name.lower().startswith(SCHEMES)


def read_url(url: str) -> bytes:
    """Return the contents of an http or https address; redirections and the proxies of the environment are used.

    Raises
    ------
    CaffeError
        If the address cannot be read in MAX_SECONDS, or has more than MAX_BYTES.
    """
    opener = urllib.request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    try:
        request = urllib.request.Request(url, headers={"User-Agent": f"caffe2ncs/{version()}"})
        with opener.open(request, timeout=MAX_SECONDS) as response:
            return _contents(response, url)
    except urllib.error.HTTPError as error:
        error.close()
        raise CaffeError(f"{shown(url)}: HTTP {error.code} {shown(str(error.reason))}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: not an address
        reason = getattr(error, "reason", None) or error
        raise CaffeError(f"{shown(url)}: cannot be read ({shown(str(reason)) or type(error).__name__})") from None


def _contents(response, url):
    data, end = bytearray(), time.monotonic() + MAX_SECONDS
    while True:
        block = response.read1(_BLOCK_BYTES)  # what one packet brings: a slow server cannot hold it for long
        if not block:
            return bytes(data)
        data += block
        if len(data) > MAX_BYTES:
            raise CaffeError(f"{shown(url)}: larger than the limit of {MAX_BYTES} bytes")
        if time.monotonic() > end:
            raise CaffeError(f"{shown(url)}: not complete after {MAX_SECONDS:g} seconds")
