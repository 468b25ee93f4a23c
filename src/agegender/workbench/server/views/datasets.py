"""Data sets: thumbnails of any LMDB, classes, near-duplicates, the mean image, and the forms that make a data set."""

from __future__ import annotations

import os
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agegender.workbench.server import databases, labels, task
from agegender.workbench.server.bench import Bench, NotFound, choice, folder_name, real, whole
from agegender.workbench.server.respond import Moved, Page, picture, refuse
from agegender.workbench.server.scan import Item

SYNTHETIC_FACES = "data/synthetic_faces"
GROUPS, MEMBERS = 40, 12  # of near-duplicates that are shown


def dataset(bench: Bench, request: Request) -> Page:
    """One database: a page of its records."""
    item = bench.item(request, "database")
    path, query = bench.path(item), request.query_params
    index = _index(bench, item)
    after, label, group = record_key(query.get("after", "")), query.get("label", ""), query.get("show") == "duplicates"
    names = labels.of_database(bench, item)
    groups: list[list[dict[str, Any]]] = []
    if group and index is not None:
        groups = [[_record(key, value, names) for key, value in rows[:MEMBERS]] for rows in index.duplicates()[:GROUPS]]
        shown = databases.Page([], [], None)
    elif label and index is not None:
        shown = index.page(index.of_class(whole(query, "label", 0, -(2**31), 2**31)), after)
    else:
        shown = databases.page(path, after)
    counts = None
    if index is not None:
        counts = [
            {"label": value, "name": labels.name_of(value, names), "count": count}
            for value, count in sorted(index.counts().items())
        ]
    values = {
        "title": item.name,
        "item": item.facts(),
        "records": databases.length(path),
        "shown": [_record(key, value, names) for key, value in zip(shown.keys, shown.labels)],
        "next": shown.after.hex() if shown.after is not None else None,
        "label": label,
        "groups": groups,
        "show": "duplicates" if group else "",
        "classes": counts,
        "duplicates": None if index is None else _duplicate_counts(index),
        "siblings": _siblings(bench, item),
        "mean": _mean_of(bench, item) is not None,
        "lists": balance(bench, item),
    }
    return Page("dataset.html", values)


def _record(key: bytes, label: int, names: list[str]) -> dict[str, Any]:
    text = key.decode("utf-8", "backslashreplace")
    return {"key": key.hex(), "name": text, "label": label, "class": labels.name_of(label, names)}


def _duplicate_counts(index: databases.Index) -> dict[str, int]:
    groups = index.duplicates(10**9)
    contradicting = sum(len({label for _, label in group}) > 1 for group in groups)
    return {"groups": len(groups), "contradicting": contradicting}


def _siblings(bench: Bench, item: Item) -> list[dict[str, str]]:
    """Return the other parts (train, test) of the same data set: the databases in the same folder."""
    folder = os.path.dirname(item.path)
    return [other.facts() for other in bench.scan.items("database") if os.path.dirname(other.path) == folder]


def _index_file(bench: Bench, item: Item) -> str:
    return bench.cache("index", f"{item.id}.npz")


def _index(bench: Bench, item: Item) -> databases.Index | None:
    return databases.read_index(_index_file(bench, item), bench.path(item))


def make_index(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Read all labels of a database, and find near-duplicates, as a job."""
    item = bench.item(request, "database")
    steps = [["task", "index", item.path, os.path.relpath(_index_file(bench, item), bench.settings.root)]]
    job = bench.queue.add(f"Read the labels of {item.name}", steps, kind="index", page=f"/datasets/{item.id}")
    return Moved(f"/jobs/{job}", {"id": job})


def record_key(text: str) -> bytes:
    """Return the key of a record from its hexadecimal form in an address; raise NotFound."""
    if not re.fullmatch(r"(?:[0-9a-f]{2}){0,511}", text):
        raise NotFound("no such record")
    return bytes.fromhex(text)


def image(bench: Bench, request: Request) -> Response:
    """One record as JPEG."""
    item = bench.item(request, "database")
    side = whole(request.query_params, "side", databases.SIDE, 8, databases.MAX_SIDE)
    return picture(databases.jpeg(databases.image(bench.path(item), record_key(request.path_params["key"])), side))


def _mean_of(bench: Bench, item: Item) -> str | None:
    """Return the mean file of a database's data set: in the folder itself, or ../mean."""
    folder = os.path.dirname(bench.path(item))
    for path in (os.path.join(folder, "mean.binaryproto"), os.path.join(folder, "../mean/mean.binaryproto")):
        path = os.path.normpath(path)
        if os.path.isfile(path) and os.path.realpath(path).startswith(bench.settings.root + os.sep):
            return path
    return None


def mean(bench: Bench, request: Request) -> Response:
    """The mean image of a data set as PNG."""
    import cv2
    import numpy as np

    from caffe.data.mean import read_mean

    path = _mean_of(bench, bench.item(request, "database"))
    if path is None:
        raise NotFound("no mean.binaryproto belongs to this database")
    planes = np.clip(np.rint(read_mean(path)), 0, 255).astype(np.uint8)
    return picture(bytes(cv2.imencode(".png", databases.to_image(planes))[1]), "image/png", 60)


def balance(bench: Bench, item: Item) -> dict[str, Any] | None:
    """Return the number of images per class before and after balancing, from the lists the database was made of."""
    parent = os.path.dirname(os.path.dirname(item.path))
    lists = next((other for other in bench.scan.items("lists") if other.path == os.path.join(parent, "DEF")), None)
    task_name = os.path.basename(item.path).split("_")[0]
    if lists is None:
        return None
    try:
        with open(os.path.join(bench.path(lists), f"{task_name}_train.txt"), encoding="utf-8") as stream:
            lines = [line.rstrip("\n").rpartition(" ") for line in stream]
    except (OSError, UnicodeDecodeError):
        return None
    names = labels.of_database(bench, item)
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for path, _, label in lines:
        name = labels.name_of(int(label), names) if label.lstrip("-").isdigit() else label
        after[name] = after.get(name, 0) + 1
        if "/overSampling/" not in path:
            before[name] = before.get(name, 0) + 1
    order = [name for name in names if name in after] or sorted(after)
    return {"classes": [{"name": n, "before": before.get(n, 0), "after": after[n]} for n in order]}


def example(bench: Bench, request: Request) -> Response:
    """A record as training sees it: after resizing, crop, mirror and augmentation, several draws in one image."""
    item, query = bench.item(request, "database"), request.query_params
    values = {
        "database": bench.path(item),
        "key": record_key(query.get("key", "")).hex(),
        "crop": whole(query, "crop", 0, 0, 2048),
        "resize": whole(query, "resize", 0, 0, 2048),
        "mirror": query.get("mirror") == "1",
        "rotation": real(query, "rotation", 0, 0, 180),
        "brightness": real(query, "brightness", 0, 0, 1),
        "seed": whole(query, "seed", 1, 0, 10**6),
    }
    return picture(task.run(bench, "example", values, seconds=30).data, "image/png", 0)


def new(bench: Bench, request: Request) -> Page:
    """The form that makes a data set."""
    folders = [item.facts() for item in bench.scan.items("images")]
    parents = sorted({os.path.dirname(item.path) for item in bench.scan.items("images")} - {""})
    values = {
        "title": "New data set",
        "folders": folders,
        "parents": [{"id": parent_id(path), "name": path} for path in parents],
        "list_files": [{"id": parent_id(path), "name": path} for path in list_files(bench)],
        "form": _cloned(bench, request),
    }
    return Page("dataset_new.html", values)


def _cloned(bench: Bench, request: Request) -> dict[str, Any]:
    job = bench.queue.get(request.query_params.get("clone", ""))
    return job["form"] if job else {}


def parent_id(path: str) -> str:
    """Return the id of a folder of class folders or of a list file."""
    return Item("path", path).id


def list_files(bench: Bench) -> list[str]:
    """Return the list files (lines of path and label) in and next to folders of images, and in lists."""
    images = [item.path for item in bench.scan.items("images")]
    lists = [item.path for item in bench.scan.items("lists")]
    found = []
    for folder in sorted({*images, *map(os.path.dirname, images), *lists}):
        with os.scandir(os.path.join(bench.settings.root, folder)) as entries:
            for entry in entries:
                if entry.name.endswith(".txt") and entry.is_file(follow_symlinks=False):
                    found.append(os.path.join(folder, entry.name))
    return sorted(found)


def create(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Queue the commands that make a data set."""
    source = choice(form, "source", ("synthetic", "faces", "folders", "list"))
    steps, page = {"synthetic": _synthetic, "faces": _faces, "folders": _folders, "list": _list}[source](bench, form)
    title = {"synthetic": "Make the synthetic data set", "faces": "Make a data set of faces"}.get(
        source, "Make a data set"
    )
    job = bench.queue.add(title, steps, form, "dataset", page=page)
    return Moved(f"/jobs/{job}", {"id": job})


def _common(form: dict[str, str]) -> list[str]:
    train = real(form, "train", 0.8, 0.05, 0.95)
    arguments = ["--train", f"{train:g}", "--seed", str(whole(form, "seed", 230, 0, 2**31 - 1))]
    return arguments + (["--exclude-near-duplicates"] if form.get("exclude_near_duplicates") else [])


def _packed(form: dict[str, str]) -> list[list[str]]:
    size = str(whole(form, "size", 227, 8, 1024))
    return [["agegender", "create-lmdb", "--size", size], ["agegender", "create-mean"]]


def _synthetic(bench: Bench, form: dict[str, str]) -> tuple[list[list[str]], str]:
    count, seed = whole(form, "count", 900, 20, 50_000), whole(form, "faces_seed", 1, 0, 2**31 - 1)
    faces = ["agegender", "synthesize-faces", "--out", SYNTHETIC_FACES, "--count", str(count), "--seed", str(seed)]
    build = ["agegender", "build-dataset", "--faces", SYNTHETIC_FACES, *_common(form)]
    return [faces, build, *_packed(form)], f"/datasets/{Item('database', 'data/lmdb/age_train_lmdb').id}"


def _faces(bench: Bench, form: dict[str, str]) -> tuple[list[list[str]], str]:
    item = bench.find(form.get("faces", ""), "images")
    race = choice(form, "race", ("all", "asian", "white", "black", "indian", "others"))
    build = ["agegender", "build-dataset", "--faces", item.path, "--race", race, *_common(form)]
    return [build, *_packed(form)], f"/datasets/{Item('database', 'data/lmdb/age_train_lmdb').id}"


def _converted(form: dict[str, str], target: str, split: list[str]) -> tuple[list[list[str]], str]:
    """Return the steps from lists to databases and a mean; `split` writes train.txt and test.txt."""
    size = str(whole(form, "size", 227, 8, 1024))
    options = ["--resize_height", size, "--resize_width", size, "--shuffle"]
    if encoding := choice(form, "encoding", ("none", "jpg", "png")).replace("none", ""):
        options += ["--encoded", "--encode_type", encoding]
    steps = [split]
    for part in ("train", "test"):
        steps.append(["caffe", "convert_imageset", *options, "./", f"{target}/{part}.txt", f"{target}/{part}_lmdb"])
    steps.append(["caffe", "compute_image_mean", f"{target}/train_lmdb", f"{target}/mean.binaryproto"])
    return steps, f"/datasets/{Item('database', f'{target}/train_lmdb').id}"


def _target(bench: Bench, form: dict[str, str]) -> str:
    target = f"data/{folder_name(form, 'name')}"
    if os.path.lexists(os.path.join(bench.settings.root, target)):
        raise refuse(f"name: {target} exists; choose another name")
    return target


def _folders(bench: Bench, form: dict[str, str]) -> tuple[list[list[str]], str]:
    parents = {os.path.dirname(item.path) for item in bench.scan.items("images")} - {""}
    parent = next((path for path in parents if parent_id(path) == form.get("parent")), None)
    if parent is None:
        raise refuse("parent: expected a folder with one folder of images per class")
    target = _target(bench, form)
    return _converted(form, target, ["task", "split", "--folders", parent, "--out", target, *_split(form)])


def _list(bench: Bench, form: dict[str, str]) -> tuple[list[list[str]], str]:
    path = next((path for path in list_files(bench) if parent_id(path) == form.get("list")), None)
    if path is None:
        raise refuse("list: expected a text file with a path and a label in each line")
    target = _target(bench, form)
    return _converted(form, target, ["task", "split", "--list", path, "--out", target, *_split(form)])


def _split(form: dict[str, str]) -> list[str]:
    train = real(form, "train", 0.8, 0.05, 0.95)
    return ["--train", f"{train:g}", "--seed", str(whole(form, "seed", 230, 0, 2**31 - 1))]
