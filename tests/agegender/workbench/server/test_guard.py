"""What a request must have before anything of it is parsed: host, origin, token, size."""

import pytest

from agegender.errors import AgeGenderError
from agegender.workbench.server import guard
from agegender.workbench.server.settings import MAX_BODY, Settings, is_loopback

from ..conftest import client_of

TOKEN = "a-token-of-this-test"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080", "LOCALHOST"])
def test_own_host_is_served(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example", "10.0.0.1"]
)
def test_foreign_host_is_refused(client, host):
    """DNS rebinding: a page of another name whose address is this machine."""
    for path in ("/", "/index.json", "/static/workbench.js", "/nothing"):
        assert client.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "cross-site"},
    ],
)
def test_change_from_another_site_is_refused(client, root, headers):
    response = client.post("/new-dataset", data={"source": "synthetic"}, headers=headers)
    assert response.status_code == 403
    assert not (root / "jobs").exists()


def test_change_from_the_same_origin_is_accepted(client, root):
    headers = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert client.post("/jobs/x/stop", headers=headers).status_code == 404


def test_other_sites_cannot_embed_pictures(client):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/index.json", headers=headers).status_code == 403
    assert client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code == 200


def test_read_only_refuses_every_change(root):
    client = client_of(root, read_only=True)
    assert client.post("/new-dataset", data={"source": "synthetic"}).status_code == 403
    assert client.post("/predict").status_code == 403
    assert "read-only" in client.get("/").text
    assert not (root / ".workbench").exists()


def test_body_is_limited_by_its_declared_length(client):
    response = client.post("/train/check", content=b"", headers={"content-length": str(MAX_BODY + 1)})
    assert response.status_code == 413


def test_body_is_limited_while_it_is_received(client):
    def parts():
        for _ in range(3 * MAX_BODY // 65536):
            yield b"a" * 65536

    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/train/check", content=parts(), headers=headers).status_code == 413


def test_negative_length_is_refused(client):
    assert client.post("/train", content=b"", headers={"content-length": "-1"}).status_code == 413


def test_token_is_required_and_moves_to_a_cookie(root):
    client = client_of(root, host="0.0.0.0", token=TOKEN)
    host = {"host": "192.168.7.7:8080"}
    assert client.get("/", headers=host).status_code == 401
    assert client.get("/static/workbench.css", headers=host).status_code == 401
    assert client.get("/?token=wrong", headers=host).status_code == 401
    response = client.get(f"/train?preset=AgeNet&token={TOKEN}", headers=host)
    assert response.status_code == 200 and 'content="0;url=/train?preset=AgeNet"' in response.text
    assert TOKEN not in response.text
    cookie = response.headers["set-cookie"]
    assert "SameSite=Strict" in cookie and "HttpOnly" in cookie
    client.cookies.clear()
    assert client.get("/", headers={**host, "cookie": f"{guard.COOKIE}={TOKEN}"}).status_code == 200
    assert client.get("/index.json", headers={**host, "authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/", headers={**host, "cookie": f"{guard.COOKIE}={TOKEN}x"}).status_code == 401
    assert client.post("/train", headers={**host, "cookie": "\x01;=;;"}).status_code == 401


def test_token_redirect_stays_on_this_server(root):
    client = client_of(root, host="0.0.0.0", token=TOKEN)
    response = client.get(f"http://192.168.7.7:8080//evil.example/?token={TOKEN}", headers={"host": "192.168.7.7"})
    assert 'url=/evil.example/"' in response.text
    response = client.get(f"/%22%3E%3Cscript%3E?token={TOKEN}&a=%22%3E%3Cb%3E", headers={"host": "192.168.7.7"})
    assert "<script" not in response.text and "<b>" not in response.text


def test_foreign_name_is_refused_on_all_interfaces(root):
    client = client_of(root, host="0.0.0.0", token=TOKEN)
    assert client.get("/", headers={"host": "evil.example", "authorization": f"Bearer {TOKEN}"}).status_code == 400


def test_other_machines_need_a_token(tmp_path):
    with pytest.raises(AgeGenderError, match="needs a token"):
        Settings.checked(str(tmp_path), "0.0.0.0", 8080)
    with pytest.raises(AgeGenderError, match="--root"):
        Settings.checked(str(tmp_path / "missing"), "127.0.0.1", 8080)
    with pytest.raises(AgeGenderError, match="--port"):
        Settings.checked(str(tmp_path), "127.0.0.1", 70000)


@pytest.mark.parametrize(
    "host,expected", [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("0.0.0.0", False), ("example", False)]
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected
