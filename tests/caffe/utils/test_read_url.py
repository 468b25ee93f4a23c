"""Reading http addresses: contents, redirections, errors and limits; a server of this machine answers."""

import http.server
import threading
import time

import cv2
import numpy as np
import pytest

from caffe import io
from caffe.errors import CaffeError
from caffe.utils import read_url

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PNG = cv2.imencode(".png", IMAGE)[1].tobytes()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self):
        target = {"/moved": "/image.png", "/loop": "/loop", "/ftp": "ftp://127.0.0.1/x", "/file": "file:///etc/passwd"}
        if self.path in target:
            self.send_response(302)
            self.send_header("Location", target[self.path])
            self.end_headers()
            return
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/slow":
            for _ in range(50):
                self.wfile.write(b"x")
                time.sleep(0.02)
        elif self.path != "/cut":
            self.wfile.write(PNG if "image" in self.path else bytes(1000) if self.path == "/large" else b"text")
        else:
            self.wfile.write(PNG[: len(PNG) // 2])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("path", ["/image.png", "/moved", "/image?size=4"])
def test_load_image_of_an_address(address, path):
    np.testing.assert_allclose(io.load_image(address + path), IMAGE[..., ::-1] / 255, atol=1e-6)


@pytest.mark.parametrize(
    "path, message",
    [
        ("/none", "HTTP 404 Not Found"),
        ("/loop", "HTTP 302 .*infinite loop"),
        ("/ftp", "cannot be read|redirect"),
        ("/file", "HTTP 302 .*not allowed|cannot be read"),
        ("/text", "not an image"),
        ("/cut", "truncated or not an image"),
    ],
)
def test_other_answers_are_errors(address, path, message):
    with pytest.raises(CaffeError, match=message):
        io.load_image(address + path)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[",
        "https://127.0.0.1:1/",
        "http://127.0.0.1:99999/",
        "http://a b/",
        "http://127.0.0.1/\u00e9 x",
    ],
)
def test_invalid_and_closed_addresses(url):
    with pytest.raises(CaffeError, match="cannot be read"):
        io.load_image(url)


@pytest.mark.parametrize("name", ["file:///etc/hostname", "ftp://127.0.0.1/x.png", "data:image/png;base64,xx"])
def test_other_schemes_are_file_names(name):
    with pytest.raises(CaffeError, match="No such file"):
        io.load_image(name)


def test_limits(address, monkeypatch):
    monkeypatch.setattr(read_url, "MAX_BYTES", 999)
    with pytest.raises(CaffeError, match="larger than the limit of 999 bytes"):
        read_url.read_url(address + "/large")
    monkeypatch.setattr(read_url, "MAX_SECONDS", 0.1)
    with pytest.raises(CaffeError, match="0.1 seconds"):
        read_url.read_url(address + "/slow")
