"""Fetching from a local server that breaks off, redirects, asks for confirmation and lies."""

import hashlib
import http.server
import io
import tarfile
import threading

import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import sources
from agegender.datasets.sources import Source
from agegender.errors import AgeGenderError
from caffe.utils import commands, download
from caffe.utils.google_drive import next_address

DATA = bytes(range(256)) * 1500
PAGE = b"""<html><body><p>too large to scan</p>
<form id="download-form" action="/confirmed"><input type="hidden" name="id" value="a b">
<input type="hidden" name="confirm" value="t"><input type="submit" value="Get"></form></body></html>"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /whole, /breaks, /deaf (ignores ranges), /moved, /page, /confirmed, /quota, /busy ..."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        name = self.path.split("?")[0].strip("/").replace("-", "_")
        getattr(self, "give_" + name)(self.server.data)

    def body(self, data, status=200, kind="application/octet-stream", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def ranged(self, data, most=None):
        asked = self.headers.get("Range")
        start = int(asked[len("bytes=") : -1]) if asked else 0
        if start >= len(data):
            return self.body(b"", 416)
        part = data[start:] if most is None else data[start : start + most]
        told = {"Content_Range": "bytes %d-%d/%d" % (start, len(data) - 1, len(data))} if asked else {}
        self.body(part, 206 if asked else 200, length=len(data) - start, **told)

    def give_whole(self, data):
        self.ranged(data)

    def give_breaks(self, data):
        self.ranged(data, most=len(data) // 3 + 1)

    def give_deaf(self, data):
        self.body(data)

    def give_wrong_range(self, data):
        self.body(data[7:], 206, Content_Range="bytes 7-9/10")

    def give_dead(self, data):
        self.body(b"", length=len(data))

    def give_moved(self, data):
        self.body(b"", 302, Location="/whole")

    def give_page(self, data):
        self.body(PAGE, kind="text/html; charset=utf-8", Set_Cookie="seen=1")

    def give_confirmed(self, data):
        if "seen=1" not in (self.headers.get("Cookie") or ""):
            return self.body(b"no cookie", 403)
        self.ranged(data)

    def give_quota(self, data):
        self.body(b"<html>Quota exceeded</html>", kind="text/html")

    def give_busy(self, data):
        if sum(path == "/busy" for path, _ in self.server.asked) < 3:
            return self.body(b"", 503)
        self.ranged(data)

    def give_missing(self, data):
        self.body(b"", 404)

    def give_lie(self, data):
        self.body(b"x" * len(data))

    def give_endless(self, data):
        self.body(data + b"more")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.asked, running.data = [], DATA
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def get(server, tmp_path):
    """get("/whole", ...) fetches from these addresses in turn; returns what lies there afterwards."""

    def fetch(*places, data=DATA):
        server.data = data
        base = "http://127.0.0.1:%d" % server.server_port
        source = Source("faces.tar.gz", tuple(base + place for place in places), len(data), _hash(data), (2,))
        with open(download.fetch(source, tmp_path / "data", wait=0), "rb") as stream:
            return stream.read()

    fetch.part = tmp_path / "data" / "faces.tar.gz.part"
    fetch.whole = tmp_path / "data" / "faces.tar.gz"
    return fetch


def _hash(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("place", ["/whole", "/deaf", "/moved", "/page", "/busy"])
def test_it_comes_whole(get, place):
    assert get(place) == DATA
    assert not get.part.exists()


def test_a_connection_that_breaks_off_goes_on_where_it_ended(get, server):
    assert get("/breaks") == DATA
    third = len(DATA) // 3 + 1
    assert [asked for _, asked in server.asked] == [None, "bytes=%d-" % third, "bytes=%d-" % (2 * third)]


def test_a_later_run_goes_on_too(get, server):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    assert get("/whole") == DATA
    assert server.asked == [("/whole", "bytes=1000-")]


def test_a_server_without_ranges_starts_over(get):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    assert get("/deaf") == DATA


@pytest.mark.parametrize("left", [b"junk" * 10, b"x" * len(DATA), b"x" * (len(DATA) + 5)])
def test_junk_of_an_earlier_run_is_fetched_anew(get, left):
    get.part.parent.mkdir()
    get.part.write_bytes(left)
    assert get("/whole") == DATA


def test_what_is_there_and_right_is_not_fetched_again(get, server):
    get("/whole")
    server.asked.clear()
    assert get("/whole") == DATA and server.asked == []


def test_what_is_there_and_wrong_is_replaced(get):
    get.part.parent.mkdir()
    get.whole.write_bytes(b"an older archive")
    assert get("/whole") == DATA


def test_the_confirm_page_is_filled_in_with_its_cookie(get, server):
    get("/page")
    assert [path for path, _ in server.asked] == ["/page", "/confirmed?id=a+b&confirm=t"]


@pytest.mark.parametrize(
    "place, text",
    [
        ("/lie", "gave 384000 bytes of SHA-256 [0-9a-f]{64}, due are 384000 of [0-9a-f]{64}"),
        ("/endless", "gave more than the 384000 bytes due"),
        ("/quota", "answered with a web page and not with the file"),
        ("/missing", "answered 404"),
        ("/dead", "the connection ended after 0 of 384000 bytes .after 5 tries"),
    ],
)
def test_what_cannot_be_had_is_told_and_nothing_is_left(get, place, text):
    with pytest.raises(AgeGenderError, match=text) as fault:
        get(place)
    assert "--from FILE" in str(fault.value)
    assert not get.whole.exists() and not get.part.exists() or place == "/dead"


def test_another_range_than_asked_for_is_refused(get):
    get.part.parent.mkdir()
    get.part.write_bytes(DATA[:1000])
    with pytest.raises(AgeGenderError, match="another range"):
        get("/wrong-range")


def test_nobody_there(get, server):
    server.server_port = 9  # discard: nothing listens
    with pytest.raises(AgeGenderError, match="refused"):
        get("/whole")


def test_the_next_place_is_tried(get):
    assert get("/missing", "/lie", "/quota", "/whole") == DATA


@pytest.mark.parametrize(
    "page, wanted",
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
def test_pages_old_and_new(page, wanted):
    assert next_address(page, "https://drive.google.com/uc?export=download&id=1") == wanted


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


def test_the_verb_fetches_verifies_and_unpacks(server, tmp_path, monkeypatch, capsys):
    data = archive_of(NAMES)
    server.data = data
    url = "http://127.0.0.1:%d/page" % server.server_port
    monkeypatch.setattr(
        sources, "UTKFACE_ASIAN", Source("a.tar.gz", ("http://none.invalid",), len(data), _hash(data), (2,))
    )
    monkeypatch.chdir(tmp_path)
    assert run("--url", url) == 0
    assert [path.name for path in (tmp_path / "data" / "UTKFace_AsianOnly").glob("*.jpg")] == NAMES[:1]
    captured = capsys.readouterr()
    assert captured.out == "1 pictures in data/UTKFace_AsianOnly\n"
    assert "left out, its name says too little: 39_1_2017" in captured.err
    assert captured.err.endswith("Next: ./build_dataset.py\n")


def test_a_wrong_hash_is_never_unpacked(server, tmp_path, monkeypatch, capsys):
    server.data = data = archive_of(NAMES)
    monkeypatch.setattr(sources, "UTKFACE_ASIAN", Source("a.tar.gz", (), len(data), _hash(b"else"), (2,)))
    url = "http://127.0.0.1:%d/whole" % server.server_port
    assert run("--url", url, "--data", tmp_path / "data") == 1
    assert list((tmp_path / "data").iterdir()) == [] and "SHA-256" in capsys.readouterr().err


def test_an_archive_of_ones_own(tmp_path, capsys):
    own = tmp_path / "own.tar.gz"
    own.write_bytes(archive_of(NAMES))
    assert run("--from", own, "--race", "all", "--data", tmp_path / "data") == 0
    assert sorted(path.name for path in (tmp_path / "data" / "UTKFace_All").glob("*.jpg")) == sorted(NAMES[:2])
    assert run("--from", own, "--race", "black", "--out", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").glob("*.jpg")] == NAMES[1:2]


@pytest.mark.parametrize(
    "argv, text",
    [
        (["--sha256", "0" * 64], "its SHA-256 is [0-9a-f]{64}, due is 0000"),
        (["--race", "indian"], "no picture of the wanted race among 3 files"),
        (["--race", "martian"], "no race 'martian'"),
    ],
)
def test_what_is_wrong_with_ones_own(tmp_path, capsys, argv, text):
    import re

    own = tmp_path / "own.tar.gz"
    own.write_bytes(archive_of(NAMES))
    assert run("--from", own, "--data", tmp_path / "data", *argv) == 1
    assert re.search(text, capsys.readouterr().err)
    assert not (tmp_path / "data").exists() or list((tmp_path / "data").iterdir()) == []


def test_other_races_cannot_be_fetched(tmp_path, capsys):
    assert run("--race", "asian,white", "--data", tmp_path) == 1
    assert "holds asian faces only, not white; give another by --from FILE" in capsys.readouterr().err


@needs_shared
def test_the_table_knows_the_real_archive(tmp_path, capsys):
    source = sources.UTKFACE_ASIAN
    archive = SHARED / "data" / source.file
    assert download.is_good(archive, source.size, source.sha256)
    assert run("--from", archive, "--sha256", source.sha256, "--data", tmp_path) == 0
    assert capsys.readouterr().out == "3434 pictures in %s\n" % (tmp_path / "UTKFace_AsianOnly")
