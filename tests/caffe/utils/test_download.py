"""Downloads from a local server that drops connections, redirects, requires confirmation and sends wrong data."""

import hashlib
import http.server
import io
import tarfile
import threading

import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import sources
from agegender.datasets.sources import Source
from caffe.errors import CaffeError
from caffe.utils import download
from caffe.utils.cli import commands
from caffe.utils.google_drive import next_address

DATA = bytes(range(256)) * 1500
PAGE = b"""<html><body><p>too large to scan</p>
<form id="download-form" action="/confirmed"><input type="hidden" name="id" value="a b">
<input type="hidden" name="confirm" value="t"><input type="submit" value="Get"></form></body></html>"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one path per behaviour: /complete, /truncated, /no_ranges, /moved, /page, /confirmed, /quota, /busy ..."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        name = self.path.split("?")[0].strip("/").replace("-", "_")
        getattr(self, "send_" + name)(self.server.data)

    def body(self, data, status=200, content_type="application/octet-stream", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def ranged(self, data, max_bytes=None):
        requested = self.headers.get("Range")
        start = int(requested[len("bytes=") : -1]) if requested else 0
        if start >= len(data):
            return self.body(b"", 416)
        part = data[start:] if max_bytes is None else data[start : start + max_bytes]
        headers = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if requested else {}
        self.body(part, 206 if requested else 200, length=len(data) - start, **headers)

    def send_complete(self, data):
        self.ranged(data)

    def send_truncated(self, data):
        self.ranged(data, max_bytes=len(data) // 3 + 1)

    def send_no_ranges(self, data):
        self.body(data)

    def send_wrong_range(self, data):
        self.body(data[7:], 206, Content_Range="bytes 7-9/10")

    def send_dead(self, data):
        self.body(b"", length=len(data))

    def send_moved(self, data):
        self.body(b"", 302, Location="/complete")

    def send_page(self, data):
        self.body(PAGE, content_type="text/html; charset=utf-8", Set_Cookie="seen=1")

    def send_confirmed(self, data):
        if "seen=1" not in (self.headers.get("Cookie") or ""):
            return self.body(b"no cookie", 403)
        self.ranged(data)

    def send_quota(self, data):
        self.body(b"<html>Quota exceeded</html>", content_type="text/html")

    def send_busy(self, data):
        if sum(path == "/busy" for path, _ in self.server.requests) < 3:
            return self.body(b"", 503)
        self.ranged(data)

    def send_missing(self, data):
        self.body(b"", 404)

    def send_wrong_data(self, data):
        self.body(b"x" * len(data))

    def send_too_long(self, data):
        self.body(data + b"more")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.requests, http_server.data = [], DATA
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield http_server
    http_server.shutdown()
    thread.join()
    http_server.server_close()


@pytest.fixture
def get(server, tmp_path):
    """get("/complete", ...) downloads from these addresses in turn and returns the content of the file."""

    def fetch(*paths, data=DATA):
        server.data = data
        base = f"http://127.0.0.1:{server.server_port}"
        source = Source("faces.tar.gz", tuple(base + path for path in paths), len(data), _hash(data), (2,))
        with open(download.fetch(source, tmp_path / "data", wait=0), "rb") as stream:
            return stream.read()

    fetch.part = tmp_path / "data" / "faces.tar.gz.part"
    fetch.target = tmp_path / "data" / "faces.tar.gz"
    return fetch


def _hash(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("path", ["/complete", "/no_ranges", "/moved", "/page", "/busy"])
def test_download(get, path):
    assert get(path) == DATA
    assert not get.part.exists()


def test_dropped_connection_is_resumed(get, server):
    assert get("/truncated") == DATA
    third = len(DATA) // 3 + 1
    assert [byte_range for _, byte_range in server.requests] == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_later_run_resumes(get, server):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    assert get("/complete") == DATA
    assert server.requests == [("/complete", "bytes=1000-")]


def test_server_without_ranges_starts_over(get):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    assert get("/no_ranges") == DATA


@pytest.mark.parametrize("leftover", [b"junk" * 10, b"x" * len(DATA), b"x" * (len(DATA) + 5)])
def test_invalid_partial_file_is_downloaded_again(get, leftover):
    get.part.parent.mkdir()
    get.part.write_bytes(leftover)
    assert get("/complete") == DATA


def test_valid_file_is_not_downloaded_again(get, server):
    get("/complete")
    server.requests.clear()
    assert get("/complete") == DATA and server.requests == []


def test_invalid_file_is_replaced(get):
    get.part.parent.mkdir()
    get.target.write_bytes(b"an older archive")
    assert get("/complete") == DATA


def test_confirmation_page_is_submitted_with_its_cookie(get, server):
    get("/page")
    assert [path for path, _ in server.requests] == ["/page", "/confirmed?id=a+b&confirm=t"]


@pytest.mark.parametrize(
    "path, text",
    [
        (
            "/wrong-data",
            "expected 384000 bytes with SHA-256 [0-9a-f]{64}, received 384000 bytes with SHA-256 [0-9a-f]{64}",
        ),
        ("/too-long", "expected 384000 bytes, received more"),
        ("/quota", "received a web page instead of the file"),
        ("/missing", "HTTP 404"),
        ("/dead", "the connection ended after 0 of 384000 bytes .after 5 attempts"),
    ],
)
def test_failed_download_is_reported_and_leaves_no_files(get, path, text):
    with pytest.raises(CaffeError, match=text) as caught:
        get(path)
    assert "--from FILE" in str(caught.value)
    assert not get.target.exists() and not get.part.exists() or path == "/dead"


def test_wrong_range_is_rejected(get):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    with pytest.raises(CaffeError, match="a different range than requested"):
        get("/wrong-range")


def test_refused_connection(get, server):
    server.server_port = 9  # discard: nothing listens
    with pytest.raises(CaffeError, match="refused"):
        get("/complete")


def test_next_address_is_tried(get):
    assert get("/missing", "/wrong-data", "/quota", "/complete") == DATA


@pytest.mark.parametrize(
    "page, expected",
    [
        ('<a id="uc-download-link" href="/uc?export=download&amp;confirm=AbC&amp;id=1">Download anyway</a>',
         "https://drive.google.com/uc?export=download&confirm=AbC&id=1"),
        ('<form action="https://x.example/download?u=1"><input name="confirm" value="t"></form>',
         "https://x.example/download?u=1&confirm=t"),
        ("<html>sorry</html>", None),
        ('<form action="/search"><input name="q"></form>', None),
        ('<a href="file:///etc/passwd?confirm=1">x</a>', None),
    ],
)  # fmt: skip
def test_old_and_new_confirmation_pages(page, expected):
    assert next_address(page, "https://drive.google.com/uc?export=download&id=1") == expected


def archive_of(names):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo("UTKFace/" + name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return stream.getvalue()


NAMES = [
    "26_1_2_20170116184024662.jpg.chip.jpg",
    "30_0_1_20170116184024663.jpg.chip.jpg",
    "39_1_20170116174525125.jpg",
]


def run(*argv):
    return commands.main("agegender.cli", "agegender", ["download", *map(str, argv)])


def test_command_downloads_verifies_and_extracts(server, tmp_path, monkeypatch, capsys):
    data = archive_of(NAMES)
    server.data = data
    url = f"http://127.0.0.1:{server.server_port}/page"
    monkeypatch.setattr(
        sources, "UTKFACE_ASIAN", Source("a.tar.gz", ("http://none.invalid",), len(data), _hash(data), (2,))
    )
    monkeypatch.chdir(tmp_path)
    assert run("--url", url) == 0
    assert [path.name for path in (tmp_path / "data" / "UTKFace_AsianOnly").glob("*.jpg")] == NAMES[:1]
    captured = capsys.readouterr()
    assert captured.out == "1 images in data/UTKFace_AsianOnly\n"
    assert "left out, incomplete name: 39_1_2017" in captured.err
    assert captured.err.endswith("Next: ./build_dataset.py\n")


def test_archive_with_a_wrong_hash_is_not_extracted(server, tmp_path, monkeypatch, capsys):
    server.data = data = archive_of(NAMES)
    monkeypatch.setattr(sources, "UTKFACE_ASIAN", Source("a.tar.gz", (), len(data), _hash(b"else"), (2,)))
    url = f"http://127.0.0.1:{server.server_port}/complete"
    assert run("--url", url, "--data", tmp_path / "data") == 1
    assert list((tmp_path / "data").iterdir()) == [] and "SHA-256" in capsys.readouterr().err


def test_local_archive(tmp_path, capsys):
    local = tmp_path / "local.tar.gz"
    local.write_bytes(archive_of(NAMES))
    assert run("--from", local, "--race", "all", "--data", tmp_path / "data") == 0
    assert sorted(path.name for path in (tmp_path / "data" / "UTKFace_All").glob("*.jpg")) == sorted(NAMES[:2])
    assert run("--from", local, "--race", "black", "--out", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").glob("*.jpg")] == NAMES[1:2]


@pytest.mark.parametrize(
    "argv, text",
    [
        (["--sha256", "0" * 64], "expected the SHA-256 0000.*received [0-9a-f]{64}"),
        (["--race", "indian"], "no image of this race among 3 files"),
        (["--race", "martian"], "unknown race 'martian'"),
    ],
)
def test_errors_of_a_local_archive(tmp_path, capsys, argv, text):
    import re

    local = tmp_path / "local.tar.gz"
    local.write_bytes(archive_of(NAMES))
    assert run("--from", local, "--data", tmp_path / "data", *argv) == 1
    assert re.search(text, capsys.readouterr().err)
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_other_races_cannot_be_downloaded(tmp_path, capsys):
    assert run("--race", "asian,white", "--data", tmp_path) == 1
    assert "holds asian faces only, not white; use another archive with --from FILE" in capsys.readouterr().err


@needs_shared
def test_table_matches_the_real_archive(tmp_path, capsys):
    source = sources.UTKFACE_ASIAN
    archive = SHARED / "data" / source.file
    assert download.is_good(archive, source.size, source.sha256)
    assert run("--from", archive, "--sha256", source.sha256, "--data", tmp_path) == 0
    assert capsys.readouterr().out == f"3434 images in {tmp_path / 'UTKFace_AsianOnly'}\n"
