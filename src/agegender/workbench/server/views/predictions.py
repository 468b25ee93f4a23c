"""Predict: images that a browser sends, or the images of a folder below the root, with streamed results."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agegender.workbench.server import task
from agegender.workbench.server.bench import Bench, bench_of, choice
from agegender.workbench.server.job_process import command
from agegender.workbench.server.respond import Page, as_json, failure, refuse, send
from agegender.workbench.server.settings import MAX_IMAGE_BYTES, MAX_IMAGES
from agegender.workbench.server.views import datasets
from agegender.workspace import PEOPLE_NET
from caffe.errors import CaffeError

DEVICES = ("CPU", "SIMULATOR", "MYRIAD", "GPU", "NPU", "ONNXRUNTIME", "CAFFE")
ZOO = "zoo:compact"  # the packaged nets, for photographs of people
SECONDS = 600.0
AT_ONCE = threading.BoundedSemaphore(2)


def models(bench: Bench) -> list[dict[str, str]]:
    """Return the nets that can predict: the compiled ones below the root, and the packaged pair."""
    found = [{"id": ZOO, "name": "compact (in the package)"}]
    return [item.facts() for item in bench.scan.items("model")] + found


def form(bench: Bench, request: Request) -> Page:
    """The page."""
    values = {
        "title": "Predict",
        "models": models(bench),
        "chosen": request.query_params.get("model", ""),
        "devices": DEVICES,
        "folders": [item.facts() for item in bench.scan.items("images")],
        "lists": [{"id": datasets.parent_id(path), "name": path} for path in datasets.list_files(bench)],
        "max_images": MAX_IMAGES,
        "max_bytes": MAX_IMAGE_BYTES,
    }
    return Page("predict.html", values)


async def predict(request: Request) -> Response:
    """Predict the images of a request; the answer has one JSON object per line, as soon as each is there."""
    bench = bench_of(request)
    folder = None
    try:
        async with request.form(max_files=MAX_IMAGES, max_fields=50, max_part_size=1 << 16) as sent:
            folder = await run_in_threadpool(bench.scratch)
            images = await run_in_threadpool(_store, folder, sent.getlist("images"))
            values = await run_in_threadpool(_request, bench, dict(sent.multi_items()), images)
        kept, folder = folder, None
        return StreamingResponse(_stream(bench, values, kept), media_type="application/x-ndjson")
    except CaffeError as error:
        page = failure(error)
        return as_json(page.values, page.status)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _store(folder: str, files: list[Any]) -> list[dict[str, str]]:
    """Write uploads to numbered files; the client's name is only text."""
    images = []
    for number, file in enumerate(files):
        if not isinstance(file, UploadFile):
            continue
        name = (file.filename or f"image {number + 1}")[:200]
        if (file.size or 0) > MAX_IMAGE_BYTES:
            raise refuse(f"{name}: {file.size} bytes are more than the limit of {MAX_IMAGE_BYTES}")
        path = os.path.join(folder, f"{number}.image")
        with open(path, "wb") as target:
            shutil.copyfileobj(file.file, target)
        images.append({"name": name, "path": path})
    return images


def _request(bench: Bench, sent: dict[str, Any], images: list[dict[str, str]]) -> dict[str, Any]:
    """Return the values of the task `predict`."""
    if sent.get("folder"):
        images = _images_below(bench, str(sent["folder"]))
    if not images:
        raise refuse("no image was sent")
    names = [str(name) for name in str(sent.get("models", "")).split(",") if name] or [models(bench)[0]["id"]]
    devices = [choice({"device": name}, "device", DEVICES) for name in str(sent.get("devices") or "CPU").split(",")]
    nets = []
    for name in names[:4]:
        if name == ZOO:
            nets.append({"zoo": PEOPLE_NET, "folder": bench.cache("zoo", "x")[:-2]})
        else:
            path = bench.path(bench.find(name, "model"))
            nets.append({"name": os.path.basename(path), "folder": os.path.dirname(path)})
    return {"images": images, "nets": nets, "devices": devices[:4], "detect": sent.get("detect") in ("1", "on", "true")}


def _images_below(bench: Bench, identifier: str) -> list[dict[str, str]]:
    """Return the images of a folder or of a list, by its id; a list names files below the root only."""
    lists = {datasets.parent_id(path): path for path in datasets.list_files(bench)}
    if identifier not in lists:
        return _images_of(bench.path(bench.find(identifier, "images")))
    root, images = bench.settings.root, []
    with open(os.path.join(root, lists[identifier]), encoding="utf-8", errors="replace") as stream:
        for line in stream:
            name, _, label = line.strip().rpartition(" ")
            name = name if label.lstrip("-").isdigit() else line.strip()
            path = os.path.realpath(os.path.join(root, name))
            if name and path.startswith(root + os.sep):
                images.append({"name": name, "path": path})
    return images


def _images_of(folder: str) -> list[dict[str, str]]:
    from agegender.workbench.server.scan import IMAGE_SUFFIXES

    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    chosen = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
    return [{"name": name, "path": os.path.join(folder, name)} for name in chosen]


async def _stream(bench: Bench, values: dict[str, Any], folder: str) -> AsyncIterator[bytes]:
    """Yield the lines of the child process; it ends when the client disconnects."""
    process, acquired = None, AT_ONCE.acquire(blocking=False)
    try:
        if not acquired:
            yield b'{"error":"two predictions are running; try again in a moment"}\n'
            return
        path = os.path.join(folder, "request.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump({**values, "folder": folder}, stream)
        with open(path, "rb") as source:
            process = await asyncio.create_subprocess_exec(
                *command(["task", "predict"]),
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=bench.settings.root,
                env=task.environment(),
                limit=4 << 20,
            )
        assert process.stdout is not None and process.stderr is not None
        errors = asyncio.create_task(process.stderr.read(1 << 16))
        while line := await asyncio.wait_for(process.stdout.readline(), SECONDS):
            yield line
        if await process.wait():
            text = (await errors).decode("utf-8", "replace")
            found = text.rfind("error: ")
            reason = (
                text[found + len("error: ") :] if found >= 0 else "the process ended; it may have run out of memory"
            )
            yield (json.dumps({"error": reason.strip()[:2000]}) + "\n").encode()
    except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11
        yield b'{"error":"this took too long and was stopped"}\n'
    finally:
        if acquired:
            AT_ONCE.release()
        if process is not None and process.returncode is None:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def explain(request: Request) -> Response:
    """Return which parts of one image matter for the prediction: the drop of its probability when they are covered."""
    bench = bench_of(request)
    folder = None
    try:
        async with request.form(max_files=1, max_fields=20, max_part_size=1 << 16) as sent:
            folder = await run_in_threadpool(bench.scratch)
            images = await run_in_threadpool(_store, folder, sent.getlist("images"))
            values = await run_in_threadpool(_request, bench, {**dict(sent.multi_items()), "devices": "CPU"}, images)
        answer = await run_in_threadpool(task.run, bench, "explain", values, 120)
        return as_json(answer.values)
    except CaffeError as error:
        return send(request, Page("error.html", failure(error).values, failure(error).status))
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
