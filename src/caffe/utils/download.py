"""Fetching a file of known size and SHA-256: resumed when it breaks off, verified before anybody sees it."""

from __future__ import annotations

import hashlib
import http.client
import http.cookiejar
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from agegender.errors import AgeGenderError
from caffe.utils.commands import version
from caffe.utils.google_drive import next_address
from caffe.utils.progress import Progress

TRIES = 5  # of each address, going on from what has come
TIMEOUT = 60  # seconds without a byte
_BLOCK = 1 << 16
_PAGE = 1 << 20  # most that is read of a web page
_BREAKS = (OSError, http.client.HTTPException)  # URLError, timeouts and resets are OSErrors


class _Refused(Exception):
    """This address cannot give the file; the text says why."""


_ADVICE = "fetch it by hand and give it by --from FILE, or tell another place by --url"


def fetch(source, folder, urls=None, wait=2.0, advice=_ADVICE):
    """The path of `source` in `folder`, fetched unless a good copy lies there already.

    What has come so far lies in <file>.part; a later call goes on from there. `urls` replaces the table's.
    `wait` seconds pass before a second try, twice as many before each further one; `advice` ends the error.
    """
    path = os.path.join(folder, source.file)
    if os.path.isfile(path) and is_good(path, source.size, source.sha256):
        return path
    os.makedirs(folder, exist_ok=True)
    faults = []
    for url in urls or source.urls:
        try:
            _fetch_from(url, path + ".part", source, wait)
        except _Refused as fault:
            faults.append(f"{url}: {fault}")
            continue
        os.replace(path + ".part", path)
        return path
    raise AgeGenderError("{} could not be fetched:\n  {}\n{}".format(source.file, "\n  ".join(faults), advice))


def is_good(path, size, sha256):
    """Whether a file has this size and hash."""
    return os.path.getsize(path) == size and sha256_of(path) == sha256


def sha256_of(path):
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _fetch_from(url, part, source, wait):
    """Make `part` the whole, verified file, or raise _Refused."""
    resumed = _size(part) > 0
    while True:
        _complete(url, part, source, wait)
        if is_good(part, source.size, source.sha256):
            return
        received = "%d bytes of SHA-256 %s" % (_size(part), sha256_of(part))
        os.unlink(part)
        if not resumed:
            raise _Refused("gave %s, due are %d of %s" % (received, source.size, source.sha256))
        resumed = False  # what lay there from an earlier run may be at fault: once more from the start


def _complete(url, part, source, wait):
    """Bring `part` to the source's size."""
    if _size(part) > source.size:
        os.unlink(part)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    opener.addheaders = [("User-Agent", f"agegender/{version()}")]
    fault, still = None, 0
    with Progress("Fetching", source.size, "bytes", start=_size(part)) as progress:
        while _size(part) < source.size:
            before = _size(part)
            try:
                _take(opener, url, part, source.size, progress)
                fault = "the connection ended after %d of %d bytes" % (_size(part), source.size)
            except _BREAKS as error:
                fault = _reason(error)
            still = 0 if _size(part) > before else still + 1  # a connection that brings something is worth another
            if still >= TRIES:
                raise _Refused("%s (after %d tries)" % (fault, TRIES))
            if _size(part) < source.size:
                time.sleep(wait * 2**still)


def _take(opener, url, part, size, progress):
    """One connection: append to `part` what comes, until it ends or breaks."""
    with _open(opener, url, _size(part)) as answer:
        if answer.status == 206 and not _goes_on(answer, _size(part)):
            raise _Refused("answered with another range than was asked for")
        with open(part, "ab" if answer.status == 206 else "wb") as stream:
            progress.done = stream.tell()
            while True:
                block = answer.read(_BLOCK)
                if not block:
                    return
                if stream.tell() + len(block) > size:
                    stream.close()
                    os.unlink(part)
                    raise _Refused("gave more than the %d bytes due" % size)
                stream.write(block)
                progress.step(len(block))


def _open(opener, url, offset, pages=3):
    """The answer that holds the file: redirects and pages of confirmation are gone through."""
    request = urllib.request.Request(url, headers={"Range": "bytes=%d-" % offset} if offset else {})
    try:
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            return _open(opener, url, 0, pages)
        if error.code in (408, 429) or error.code >= 500:
            raise  # may pass: tried again
        raise _Refused("answered %d %s" % (error.code, error.reason)) from None
    if answer.headers.get_content_type() != "text/html":
        return answer
    with answer:
        page = answer.read(_PAGE).decode("utf-8", "replace")
    address = next_address(page, answer.url)
    if address is None or pages == 0:
        raise _Refused("answered with a web page and not with the file (a limit on downloads, or the file is gone)")
    return _open(opener, address, offset, pages - 1)


def _goes_on(answer, offset):
    return (answer.headers.get("Content-Range") or "").replace(" ", "").startswith("bytes%d-" % offset)


def _size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return "answered %d %s" % (error.code, error.reason)
    return str(getattr(error, "reason", None) or error) or type(error).__name__
