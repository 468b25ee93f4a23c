"""Model: graph with shapes, weights and activations of a layer, FP16 range, downloads and archives."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from agegender.workbench.server import archives, databases, labels, task
from agegender.workbench.server.bench import Bench, NotFound, bench_of, folder_name
from agegender.workbench.server.job_process import command
from agegender.workbench.server.jobs import read_json
from agegender.workbench.server.respond import Moved, Page, refuse, send
from agegender.workbench.server.scan import Item
from agegender.workbench.server.views import datasets, runs
from caffe.utils.atomic_io import write_bytes

FILES = {
    "onnx": "application/octet-stream",
    "xml": "application/xml",
    "bin": "application/octet-stream",
    "blob": "application/octet-stream",
    "json": "application/json",
    "prototxt": "text/plain",
    "caffemodel": "application/octet-stream",
}
MANIFEST = {"name": str, "input": dict, "output": str, "labels": list, "label_set": str, "decoder": str}
MAX_CARD = 200_000


def compiled(bench: Bench, request: Request) -> Page:
    """A compiled model: manifest, files, stages of the blob and the estimated profile."""
    item = bench.item(request, "model", "weights")
    path = bench.path(item)
    if item.kind == "weights":
        values: dict[str, Any] = {
            "title": item.name,
            "item": item.facts(),
            "manifest": None,
            "files": [_file(path, "caffemodel")],
        }
        return Page("model.html", {**values, "blob": None, "profile": None, "card": "", "bundle": False})
    manifest = _manifest(path + ".json")
    values = {
        "title": item.name,
        "item": item.facts(),
        "manifest": {key: manifest[key] for key in MANIFEST if key in manifest} or None,
        "transform": manifest.get("transform") or {},
        "tools": manifest.get("tools") or {},
        "parents": manifest.get("parents") or {},
        "files": [_file(f"{path}.{kind}", kind) for kind in FILES if os.path.isfile(f"{path}.{kind}")],
        "blob": _stages(bench, path + ".blob"),
        "profile": _profile(path),
        "card": _card(os.path.dirname(path)),
        "bundle": os.path.isdir(os.path.join(bench.settings.root, bundle_folder(item))),
    }
    return Page("model.html", values)


def _manifest(path: str) -> dict[str, Any]:
    """Return a manifest, {} for a file that is none."""
    manifest = read_json(path) or {}
    valid = all(isinstance(manifest.get(key), kind) for key, kind in MANIFEST.items())
    tables = [manifest.get(key, {}) for key in ("transform", "tools", "parents")]
    return manifest if valid and all(isinstance(table, dict) for table in tables) else {}


def _file(path: str, kind: str) -> dict[str, Any]:
    return {"kind": kind, "name": os.path.basename(path), "bytes": os.path.getsize(path)}


def _card(folder: str) -> str:
    for name in ("card.md", "report/card.md"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read(MAX_CARD)
    return ""


def _profile(stem: str) -> Any:
    """Return the rows of NAME_profile.json, which the compile job wrote."""
    values = read_json(stem + "_profile.json") or {}
    return values if isinstance(values.get("layers"), list) else None


def _stages(bench: Bench, path: str) -> dict[str, Any] | None:
    """Return summary and stages of a blob, read by `ncs inspect` in a child process; kept until the file changes."""
    if not os.path.isfile(path):
        return None
    key = hashlib.sha256(f"{path} {os.stat(path).st_mtime_ns} {os.path.getsize(path)}".encode()).hexdigest()[:20]
    cached = bench.cache("blobs", key + ".json")
    if not os.path.isfile(cached):
        process = subprocess.run(
            command(["ncs", "inspect", "--json", path]), capture_output=True, timeout=60, env=task.environment()
        )
        if process.returncode:
            return {"error": process.stderr.decode("utf-8", "replace")[-500:]}
        write_bytes(cached, process.stdout)
    blob = read_json(cached) or {}
    stages = []
    for number, stage in enumerate(blob.pop("stages", [])):
        shapes = [f"{t['dtype']} {'×'.join(map(str, t['dims']))} {t['location']}" for t in stage["tensors"]]
        stages.append(
            {"number": number, **{k: stage[k] for k in ("kind", "unit", "shaves", "size")}, "tensors": shapes}
        )
    return {**{k: v for k, v in blob.items() if not isinstance(v, (list, dict))}, "stages": stages}


def download(bench: Bench, request: Request) -> Response:
    """A file of a compiled model, or a file of weights."""
    item = bench.item(request, "model", "weights")
    kind = request.path_params["kind"]
    if kind not in FILES:
        raise NotFound("no such file")
    path = bench.path(item) if item.kind == "weights" else f"{bench.path(item)}.{kind}"
    if not os.path.isfile(path) or os.path.islink(path):
        raise NotFound("no such file")
    return FileResponse(path, media_type=FILES[kind], filename=_safe(os.path.basename(path)))


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def bundle_folder(item: Item) -> str:
    """Return where `ncs bundle` writes the bundle of a model, relative to the root."""
    return f"bundles/{item.id}"


def make_bundle(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Write a bundle for a board, as a job."""
    item = bench.item(request, "model")
    step = ["ncs", "bundle", item.path + ".json", "-o", bundle_folder(item)]
    job = bench.queue.add(f"Bundle {item.name}", [step], form, "bundle", page=f"/models/{item.id}")
    return Moved(f"/jobs/{job}", {"job": job})


def bundle(bench: Bench, request: Request) -> Response:
    """The bundle as a tar."""
    item = bench.item(request, "model")
    folder = os.path.join(bench.settings.root, bundle_folder(item))
    files: list[tuple[str, str | bytes]] = []
    for parent, _, names in os.walk(folder):
        paths = [os.path.join(parent, name) for name in sorted(names)]
        files += [(os.path.relpath(path, folder), path) for path in paths if not os.path.islink(path)]
    if not files:
        raise NotFound("this model has no bundle yet")
    return _tar(files, f"{item.id}-bundle.tar")


def _tar(files: list[tuple[str, str | bytes]], name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{_safe(name)}"'}
    return StreamingResponse(archives.stream(files), media_type="application/x-tar", headers=headers)


def snapshot(bench: Bench, request: Request) -> Page:
    """A snapshot of a run: the graph of its deploy net, whose boxes lead to the layers."""
    item, row = bench.item(request, "run"), runs.snapshot(bench, request)
    described = _described(bench, item, row)
    values = {
        "title": f"{os.path.dirname(item.path)} at iteration {row['iteration']}",
        "item": item.facts(),
        "snapshot": row,
        "card": _card(os.path.dirname(bench.path(item))) or _card(os.path.dirname(os.path.dirname(bench.path(item)))),
        **described,
    }
    return Page("snapshot.html", values)


def _net(bench: Bench, item: Item) -> str:
    net = runs.net_file(bench, item)
    if net is None:
        raise refuse("the net prototxt of this run is not below the root")
    return net


def _described(bench: Bench, item: Item, row: dict[str, Any]) -> dict[str, Any]:
    """Return graph and layers of a snapshot, kept until net or weights change."""
    return _answer(bench, "describe", {"net": _net(bench, item), "weights": row["path"]})


def _answer(bench: Bench, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a task, kept until one of the files that it read changes."""
    parts = [name, json.dumps(values, sort_keys=True)]
    for file in (values["net"], values["weights"], values.get("database", "")):
        path = os.path.join(bench.settings.root, file, "data.mdb" if file == values.get("database") else "")
        parts.append(str(os.stat(path.rstrip("/")).st_mtime_ns) if file else "")
    cached = bench.cache("answers", hashlib.sha256(" ".join(parts).encode()).hexdigest()[:24] + ".json")
    kept = read_json(cached)
    if kept is None:
        kept = task.run(bench, name, values, seconds=240).values
        write_bytes(cached, json.dumps(kept))
    return kept


def layer(bench: Bench, request: Request) -> Page:
    """Weights, activations and FP16 range of one layer for an image of the test data."""
    item, row = bench.item(request, "run"), runs.snapshot(bench, request)
    described = _described(bench, item, row)
    names = [layer["name"] for layer in described["layers"]]
    number = request.path_params["layer"]
    if number >= len(names):
        raise NotFound("no such layer")
    query = request.query_params
    tested = runs.test_database(bench, item)
    database = bench.find(query.get("database") or tested, "database") if query.get("database") or tested else None
    key = datasets.record_key(query.get("key", "")).hex()
    values: dict[str, Any] = {"net": _net(bench, item), "weights": row["path"], "key": key}
    values["database"] = database.path if database else ""
    answer = _answer(bench, "layers", values)
    shown = {**answer["layers"][names[number]], "key": answer["key"]}
    keys = [k.hex() for k in databases.page(bench.path(database), count=12).keys] if database else []
    values = {
        "title": f"Layer {names[number]}",
        "item": item.facts(),
        "snapshot": row,
        "number": number,
        "names": names,
        "shown": shown,
        "database": database.facts() if database else None,
        "keys": keys,
        "key": key,
        "image": f"/datasets/{database.id}/image/{shown['key']}" if database and shown.get("key") else None,
    }
    return Page("layer.html", values)


def precision(bench: Bench, request: Request) -> Page:
    """Range of every layer in FP16 on one batch of the test data."""
    item, row = bench.item(request, "run"), runs.snapshot(bench, request)
    tested = runs.test_database(bench, item)
    if not tested:
        raise refuse("the test database of this run is not below the root")
    values = {"net": _net(bench, item), "weights": row["path"], "database": bench.find(tested).path}
    answer = _answer(bench, "precision", values)
    title = f"FP16 range of {os.path.dirname(item.path)} at {row['iteration']}"
    return Page("precision.html", {"title": title, "item": item.facts(), "snapshot": row, **answer})


def archive(bench: Bench, request: Request) -> Response:
    """A snapshot as an archive that DIGITS reads."""
    item, row = bench.item(request, "run"), runs.snapshot(bench, request)
    root, net = bench.settings.root, _net(bench, item)
    described = _described(bench, item, row)
    weights = f"snapshot_iter_{row['iteration']}.caffemodel"
    files: list[tuple[str, str | bytes]] = [
        (weights, os.path.join(root, row["path"])),
        ("deploy.prototxt", described["deploy"].encode()),
        ("train_val.prototxt", os.path.join(root, net)),
    ]
    names = {"snapshot": weights, "deploy": "deploy.prototxt", "train_val": "train_val.prototxt"}
    if solver := runs.solver_file(bench, item):
        files.append(("solver.prototxt", os.path.join(root, solver)))
        names["solver"] = "solver.prototxt"
    tested = runs.test_database(bench, item)
    classes = labels.of_folder(bench, os.path.dirname(item.path))
    if not classes and tested:
        classes = labels.of_database(bench, bench.find(tested))
    if classes:
        files.append(("labels.txt", "".join(f"{name}\n" for name in classes).encode()))
        names["labels"] = "labels.txt"
    mean = described.get("mean_file")
    if mean and os.path.realpath(os.path.join(root, mean)).startswith(root + os.sep):
        files.append(("mean.binaryproto", os.path.join(root, mean)))
        names["mean"] = "mean.binaryproto"
    name = os.path.dirname(item.path).replace("/", "-")
    channels, height, width = (*described["shape"], 1, 1, 1)[:3]
    files.append(("info.json", archives.info(name, names, [width, height, channels])))
    return _tar(files, f"{name}_iter_{row['iteration']}.tar")


async def upload(request: Request) -> Response:
    """Take an archive of DIGITS or of this workbench in, as a job."""
    bench = bench_of(request)
    async with request.form(max_files=1, max_fields=10, max_part_size=1 << 16) as sent:
        file = sent.get("archive")
        name = folder_name(dict(sent.multi_items()), "name")
        if not isinstance(file, UploadFile) or not file.size:
            raise refuse("archive: expected a file")
        job = await run_in_threadpool(_take, bench, file, name)
    return send(request, Moved(f"/jobs/{job}", {"job": job}))


def _take(bench: Bench, file: UploadFile, name: str) -> str:
    if os.path.lexists(os.path.join(bench.settings.root, "models", name)):
        raise refuse(f"name: models/{name} exists; choose another name")
    folder = tempfile.mkdtemp(prefix="archive-", dir=os.path.dirname(bench.cache("archives", "x")))
    path = os.path.join(folder, "archive")  # the job removes it
    with open(path, "wb") as target:
        shutil.copyfileobj(file.file, target)
    relative = os.path.relpath(path, bench.settings.root)
    item = Item("run", f"models/{name}/snapshot")
    steps = [["task", "archive", relative, "--out", f"models/{name}"]]
    return bench.queue.add(f"Read the archive {name}", steps, {"name": name}, "archive", page=f"/runs/{item.id}")
