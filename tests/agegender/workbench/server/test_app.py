"""Every route: HTML and JSON of the same values, status of unknown ids, headers."""

import json
import re
from html.parser import HTMLParser

import pytest
from starlette.routing import Mount, Route
from support import workbench_root as wr

from agegender.workbench.server import app

DATABASE, RUN = wr.identifier("database", wr.TEST), wr.identifier("run", wr.RUN)
EVALUATION, MODEL = wr.identifier("evaluation", wr.EVALUATION), wr.identifier("model", wr.MODEL)
KEY = b"00000_face.png".hex()
JOB = "20260101-120000-000-demo-abcd"
PARAMETERS = {  # route -> values of its parameters
    "/datasets/{id}": {"id": DATABASE},
    "/runs/{id}/log": {"id": RUN},
    "/runs/{id}": {"id": RUN},
    "/evaluations/{id}/{truth:int}/{predicted:int}": {"id": EVALUATION, "truth": 0, "predicted": 0},
    "/evaluations/{id}": {"id": EVALUATION},
    "/jobs/{id}": {"id": JOB},
    "/models/{id}/{iteration:int}/layers/{layer:int}": {"id": RUN, "iteration": 20, "layer": 1},
    "/models/{id}/{iteration:int}/precision": {"id": RUN, "iteration": 20},
    "/models/{id}/{iteration:int}": {"id": RUN, "iteration": 20},
    "/models/{id}": {"id": MODEL},
    "/compare": {"?": f"a={EVALUATION}&b={EVALUATION}"},
}
FILES = {
    "/datasets/{id}/image/{key}": ({"id": DATABASE, "key": KEY}, "image/jpeg"),
    "/datasets/{id}/mean": ({"id": DATABASE}, "image/png"),
    "/datasets/{id}/example": ({"id": DATABASE}, "image/png"),
    "/models/{id}/file/{kind}": ({"id": MODEL, "kind": "onnx"}, "application/octet-stream"),
    "/models/{id}/{iteration:int}/archive.tar": ({"id": RUN, "iteration": 20}, "application/x-tar"),
    "/models/{id}/bundle.tar": ({"id": MODEL}, None),  # 404 until a bundle is made
}


def address(route, values):
    values = dict(values)
    query = values.pop("?", "")
    for name, value in values.items():
        route = re.sub(rf"\{{{name}(:int)?\}}", str(value), route)
    return route, f"?{query}" if query else ""


def write_job(root):
    folder = root / "jobs" / JOB
    folder.mkdir(parents=True)
    values = {"title": "Demo", "steps": [["caffe", "train"]], "form": {}, "kind": "train", "run": "", "page": "/"}
    (folder / "job.json").write_text(json.dumps({**values, "state": "waiting", "created": 1.0}))
    (folder / "process.json").write_text('{"state": "finished", "status": 0, "started": 1.0, "ended": 2.0, "step": 0}')
    (folder / "output.log").write_text("done\n")


class Strict(HTMLParser):
    """Reports what the content security policy would block, and unbalanced elements."""

    VOID = {"meta", "link", "img", "input", "br", "hr"}

    def __init__(self):
        super().__init__()
        self.faults, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:"):
                self.faults.append((tag, name, value))
        names = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in names and names.get("type") != "application/json"):
            self.faults.append((tag, "inline"))
        if tag == "img" and "alt" not in names:
            self.faults.append((tag, "without alt"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append((tag, "unbalanced"))

    def handle_data(self, data):
        self.text.append(data)


def check(html):
    parser = Strict()
    parser.feed(html)
    assert not parser.faults and not parser.open
    return " ".join(parser.text)


@pytest.mark.parametrize("route", app.PAGES)
def test_page_is_html_and_json(client, root, route):
    write_job(root)
    path, query = address(route, PARAMETERS.get(route, {}))
    html, values = client.get(path + query), client.get(path + ".json" + query)
    assert (html.status_code, values.status_code) == (200, 200), html.text
    assert html.headers["content-type"].startswith("text/html")
    assert values.headers["content-type"] == "application/json"
    title = values.json()["title"]
    assert title and title in check(html.text)


def test_home_is_html_and_json(client):
    text = check(client.get("/").text)
    values = client.get("/index.json").json()
    assert {row["name"] for row in values["databases"]} == {wr.TRAIN, wr.TEST}
    assert [row["records"] for row in values["databases"]] == [12, 27]
    (run,) = values["runs"]
    assert (run["name"], run["iteration"], run["max_iter"], run["snapshots"]) == (wr.RUN, 20, 20, 2)
    for name in (wr.TRAIN, wr.RUN, wr.EVALUATION, wr.MODEL):
        assert name in text


@pytest.mark.parametrize("route", app.FILES)
def test_file(client, route):
    values, kind = FILES[route]
    response = client.get(address(route, values)[0])
    assert response.status_code == (404 if kind is None else 200), response.text[:300]
    assert kind is None or response.headers["content-type"].startswith(kind)


def test_tables_of_this_test_name_every_route():
    assert set(FILES) == set(app.FILES)
    assert {route for route in app.PAGES if "{" in route} <= set(PARAMETERS)
    known = set(app.PAGES) | {path + ".json" for path in app.PAGES} | set(app.FILES) | set(app.CHANGES)
    others = {
        "/",
        "/index.json",
        "/styles.css",
        "/runs/{id}/events",
        "/runs/{id}/state.json",
        "/predict",
        "/predict/explain",
    }
    for route in app.routes():
        assert isinstance(route, Mount) or route.path in known | others | {"/archives"}
        assert isinstance(route, (Mount, Route))


@pytest.mark.parametrize("route", [route for route in (*app.PAGES, *app.FILES) if "{id}" in route])
def test_unknown_id_is_not_found(client, route):
    values = dict(PARAMETERS.get(route) or FILES[route][0], id="nothing-00000000")
    path, query = address(route, values)
    response = client.get(path + query)
    assert response.status_code == 404 and "traceback" not in response.text.lower()


@pytest.mark.parametrize("route", app.CHANGES)
def test_change_of_an_unknown_id_is_refused(client, route):
    path = address(route, {"id": "nothing-00000000"})[0]
    response = client.post(path, data={}, headers={"accept": "application/json"})
    if "{id}" in route:
        assert response.status_code == 404
    else:  # a form without values
        assert response.status_code in (303, 400, 404) or "address" in response.json()
    assert response.status_code < 500


def test_unknown_page(client):
    response = client.get("/nothing")
    assert response.status_code == 404 and "no such page" in check(response.text)
    assert client.get("/nothing.json").json()["error"] == "there is no such page"
    assert client.put("/train").status_code == 405


def test_headers(client):
    headers = client.get("/").headers
    assert "unsafe" not in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert client.get("/static/workbench.css").headers["x-content-type-options"] == "nosniff"


def test_state_of_a_run(client):
    assert client.get(f"/runs/{RUN}/state.json").json() == {"state": "", "snapshots": 2}
