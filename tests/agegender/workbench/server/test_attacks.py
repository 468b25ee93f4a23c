"""Requests that try to leave the root, to run code, to exhaust the machine, or to become HTML."""

import io
import json
import os
import struct
import tarfile
import zlib

import cv2
import numpy as np
import pytest
from support import workbench_root as wr
from support.workbench_root import identifier

from agegender.workbench.server.settings import MAX_IMAGE_BYTES, MAX_IMAGES
from caffe.data import datum
from caffe.data.db import create_db

from .test_app import EVALUATION, check

DATABASE, RUN = identifier("database", wr.TEST), identifier("run", wr.RUN)
MODEL = identifier("model", wr.MODEL)
JSON = {"accept": "application/json"}
HOSTILE = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "%00",
    "a" * 5000,
    "☃",
    "-1",
    "1e999",
    "'",
    "<b>",
]
SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_of_every_parameter(client, value):
    paths = [f"/datasets/{value}", f"/datasets/{DATABASE}/image/{value}", f"/runs/{value}", f"/runs/{value}/events"]
    paths += [f"/evaluations/{value}", f"/evaluations/{EVALUATION}/{value}/0", f"/jobs/{value}", f"/models/{value}"]
    paths += [f"/models/{MODEL}/file/{value}", f"/models/{RUN}/{value}", f"/static/{value}", f"/static/../{value}"]
    queries = [f"/datasets/{DATABASE}?{name}=" for name in ("after", "label", "show")]
    queries += [f"/datasets/{DATABASE}/image/00?side=", f"/runs/{RUN}?with=", f"/runs/{RUN}/log?search="]
    queries += [
        f"/runs/{RUN}/log?lines=",
        f"/compare?a={EVALUATION}&b=",
        "/train?preset=",
        "/train?run=",
        "/train?clone=",
    ]
    queries += ["/deploy?run=", "/new-dataset?clone=", "/predict?model="]
    for address in [*paths, *(query + value for query in queries)]:
        try:
            response = client.get(address)
        except Exception as error:  # an address that the client itself refuses
            assert type(error).__module__.startswith("httpx"), address
            continue
        assert response.status_code < 500, address
        assert "root:" not in response.text and "Traceback" not in response.text, address


def test_deep_links_out_of_the_root_are_not_followed(client, root, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    wr.write_database(str(secret / "private_lmdb"), 3)
    os.symlink(secret, root / "data" / "link")
    os.symlink(secret / "private_lmdb", root / "data" / "lmdb" / "linked_lmdb")
    names = [row["name"] for row in client.get("/index.json").json()["databases"]]
    assert names == [wr.TEST, wr.TRAIN]


def train_form(**values):
    return {"net": wr.NET, "solver": wr.SOLVER, "name": "attack", "kind": "net", **values}


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"net": wr.NET + 'layer { name: "p" type: "Python" top: "x" python_param { module: "os" } }'}, "runs code"),
        (
            {"net": wr.NET + 'layer { name: "h" type: "HDF5Output" hdf5_output_param { file_name: "x" } }'},
            "writes files",
        ),
        ({"net": wr.NET.replace("data/mean", "/etc/mean")}, "relative to the root"),
        ({"net": wr.NET.replace("data/lmdb/age_train", "data/../../x")}, "relative to the root"),
        ({"solver": wr.SOLVER + 'weights: "~/x.caffemodel"'}, "relative to the root"),
        ({"name": "../escape"}, "name: expected letters"),
        ({"name": ".hidden"}, "name: expected letters"),
        ({"weights": "../../x"}, "has the id"),
        ({"base_lr": ",".join(["0.1"] * 30)}, "at most 20"),
        ({"max_iter": "1e99"}, "whole number"),
        ({"net": "layer {" * 3000}, "train_val.prototxt"),
    ],
)
def test_training_form_refuses(client, root, change, reason):
    before = sorted(os.listdir(root / "models"))
    response = client.post("/train", data=train_form(**change), headers=JSON)
    assert response.status_code in (400, 404) and reason in response.json()["error"]
    assert sorted(os.listdir(root / "models")) == before and not (root / "jobs").exists()


def test_net_that_links_out_of_the_root_is_refused(client, root, tmp_path):
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", root / "data" / "way_out")
    response = client.post("/train", data=train_form(net=wr.NET.replace("data/lmdb/age_test_lmdb", "data/way_out")))
    assert response.status_code == 400 and "link out of the root" in response.text


def png_header(width, height):
    """A PNG that claims to be large and is a few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + head, b"IDAT" + zlib.compress(b"\0" * 1000), b"IEND"]
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def predict(client, files, **values):
    response = client.post("/predict", data={"models": MODEL, **values}, files=[("images", file) for file in files])
    return response, [json.loads(line) for line in response.text.splitlines()]


def test_hostile_images_are_errors_of_their_own_line(client):
    image = bytes(cv2.imencode(".png", wr.face(25, 0))[1])
    files = [
        ("../../x.png", png_header(60000, 60000)),
        (SCRIPT, b"\x89PNG\r\n\x1a\n"),
        ("empty", b""),
        ("face.png", image),
    ]
    response, rows = predict(client, files)
    by_name = {row["image"]: row for row in rows if "image" in row}
    assert "megapixels" in by_name["../../x.png"]["error"] or "megapixels" in by_name["x.png"]["error"]
    assert "error" in by_name[SCRIPT]
    assert by_name["face.png"]["faces"][0]["answers"]["age"]["label"]


def test_uploads_leave_nothing(client, root):
    predict(client, [("face.png", bytes(cv2.imencode(".png", wr.face(25, 0))[1]))])
    assert os.listdir(root / ".workbench" / "uploads") == []


def test_uploads_that_a_killed_server_left_are_removed(client, root):
    from agegender.workbench.server import bench

    old, new = (root / ".workbench/uploads" / name for name in ("upload-old", "upload-new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1, bench.time.time() - bench.UPLOAD_SECONDS - 10))
    predict(client, [("x.png", b"x")])
    assert not old.exists() and new.exists()


def test_client_that_leaves_early_does_not_block_later_predictions(client):
    """A response whose body is never read gives its place back."""
    from agegender.workbench.server.views import predictions

    for _ in range(3):
        stream = predictions._stream(client.app.app.state.bench, {}, "missing")
        del stream
    _, rows = predict(client, [("face.png", bytes(cv2.imencode(".png", wr.face(25, 0))[1]))])
    assert rows[-1] == {"done": 1}


def test_large_file_is_refused(client):
    response, _ = predict(client, [("large.png", b"x" * (MAX_IMAGE_BYTES + 1))])
    assert response.status_code == 400 and "more than the limit" in response.json()["error"]


def test_too_many_files_are_refused(client):
    files = [("images", (f"{i}.png", b"x")) for i in range(MAX_IMAGES + 1)]
    assert client.post("/predict", data={"models": MODEL}, files=files).status_code == 400


def test_device_and_model_are_names_of_lists(client):
    image = [("x.png", b"x")]
    assert predict(client, image, devices="CPU,HETERO:CPU")[0].status_code == 400
    assert predict(client, image, models="../graph/age")[0].status_code == 404


def test_list_names_files_below_the_root_only(client, root):
    lines = [
        "data/faces/0.png 1",
        "../../etc/passwd 2",
        "/etc/passwd 3",
        "data/faces/missing.png 0",
        "",
        "data/faces/1.png",
    ]
    (root / "data/faces/list.txt").write_text("\n".join(lines))
    form = client.get("/predict.json").json()
    (identifier_of_list,) = [row["id"] for row in form["lists"]]
    response = client.post("/predict", data={"models": MODEL, "folder": identifier_of_list})
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert [row["image"] for row in rows[:-1]] == ["data/faces/0.png", "data/faces/missing.png", "data/faces/1.png"]
    assert rows[-1] == {"done": 3} and "faces" in rows[0] and "no such file" in rows[1]["error"]


def archive(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_archives_that_escape_or_run_code_fail(root):
    from agegender.workbench.tasks import archive as task
    from caffe.errors import CaffeError

    info = json.dumps({"deploy file": "deploy.prototxt", "snapshot file": "w.caffemodel"}).encode()
    python = b'layer { name: "p" type: "Python" top: "x" python_param { module: "os" } }'
    cases = {
        "link": {"info.json": info, "deploy.prototxt": None, "w.caffemodel": b""},
        "escape": {"../../evil.prototxt": b"x", "info.json": info},
        "python": {"info.json": info, "deploy.prototxt": python, "w.caffemodel": b""},
        "names": {
            "info.json": info.replace(b"w.caffemodel", b"../w.caffemodel"),
            "deploy.prototxt": b"",
            "w.caffemodel": b"",
        },
        "torch": {"info.json": b'{"framework": "torch"}'},
        "json": {"info.json": b"[" * 5000},
    }
    for name, files in cases.items():
        folder = root / ".workbench" / "uploads" / name
        folder.mkdir(parents=True)
        (folder / "archive").write_bytes(archive(files))
        with wr.working_directory(root), pytest.raises(CaffeError):
            task.main([os.path.relpath(folder / "archive", root), "--out", f"models/{name}"])
        assert not (root / "models" / name).exists() and not folder.exists()


def test_names_and_labels_are_text_never_html(client, root):
    """File names, keys of records, class names, log lines and titles that contain HTML."""
    evil = root / "data" / f"{SCRIPT.replace('/', '')}_lmdb"
    with create_db(str(evil)) as db:
        db.put(SCRIPT.encode(), datum.encode(np.zeros((3, 8, 8), np.uint8), 0))
    (root / "models/demo/labels.txt").write_text("\n".join(f"{SCRIPT}{i}" for i in range(9)))
    report = root / wr.EVALUATION / "report.json"
    values = json.loads(report.read_text())
    values["net"] = SCRIPT
    report.write_text(json.dumps(values))
    with open(root / (wr.RUN + ".log"), "a") as stream:
        stream.write(f"{SCRIPT} \x1b[31m\n")
    for path in ("/", f"/evaluations/{EVALUATION}", f"/runs/{RUN}", f"/runs/{RUN}/log", f"/models/{MODEL}", "/train"):
        html = client.get(path).text
        assert "<script>alert" not in html and "\x1b" not in html
        check(html)
    database = identifier("database", os.path.relpath(evil, root))
    html = client.get(f"/datasets/{database}").text
    assert "<script>alert" not in html


def test_layer_names_are_text_never_html(client, root):
    net = root / "models/demo/train_val.prototxt"
    net.write_text(wr.NET.replace('name: "relu1"', f'name: "{SCRIPT}"'))
    html = client.get(f"/models/{RUN}/20").text
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_damaged_files_are_errors_not_failures(client, root):
    (root / "data/lmdb/age_test_lmdb/data.mdb").write_bytes(b"\xff" * 8192)
    (root / wr.EVALUATION / "predictions.csv").write_text("key,actual\nx,y\n")
    (root / (wr.MODEL + ".json")).write_text("[" * 2000)
    (root / "models/demo/solver.prototxt").write_bytes(b"\x00\xff" * 100)
    assert client.get("/").status_code == 200
    assert client.get(f"/datasets/{DATABASE}").status_code == 400
    assert client.get(f"/evaluations/{EVALUATION}").status_code == 400
    assert client.get(f"/models/{MODEL}").status_code < 500
    assert client.get(f"/runs/{RUN}").status_code == 200


def test_record_that_is_no_image_is_an_error(client, root):
    with create_db(str(root / "data/odd_lmdb")) as db:
        db.put(b"a", b"\xff\xff\xff")
        db.put(b"b", datum.encode(None, 1, png_header(60000, 60000)))
        db.put(b"c", datum.encode(np.zeros((7, 3, 5), np.float32), 2))
    database = identifier("database", "data/odd_lmdb")
    page = client.get(f"/datasets/{database}.json").json()
    assert [row["label"] for row in page["shown"]] == [-1, 1, 2]
    statuses = [client.get(f"/datasets/{database}/image/{key.hex()}").status_code for key in (b"a", b"b", b"c", b"d")]
    assert statuses == [400, 400, 200, 400]
