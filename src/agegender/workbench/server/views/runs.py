"""Run: live curves, snapshots, estimated time, log, and what to do next: stop, resume, clone, fine-tune, evaluate."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agegender.workbench.server import labels, train_log
from agegender.workbench.server.bench import Bench, NotFound, bench_of, whole
from agegender.workbench.server.jobs import tail_text
from agegender.workbench.server.respond import Moved, Page, refuse
from agegender.workbench.server.scan import Item
from agegender.workbench.server.settings import MAX_STREAMS

_SNAPSHOT = re.compile(r"_iter_(\d+)\.caffemodel(?:\.h5)?$")
_ACTIVE_SECONDS = 120.0  # a log written this recently belongs to a training that runs outside of the workbench
_TAIL = 64 << 10


def log_file(bench: Bench, item: Item) -> str:
    """Return the path of a run's log."""
    return bench.path(item) + ".log"


def snapshots(bench: Bench, item: Item) -> list[dict[str, Any]]:
    """Return the snapshots of a run by iteration: path (relative to the root), bytes, and whether it can resume."""
    folder, prefix = os.path.split(bench.path(item))
    found = []
    try:
        names = set(os.listdir(folder))
    except OSError:
        return []
    for name in names:
        match = _SNAPSHOT.search(name)
        if match and name[: match.start()] == prefix:
            state = name.replace(".caffemodel", ".solverstate") in names
            size = os.path.getsize(os.path.join(folder, name))
            path = os.path.join(os.path.dirname(item.path), name)
            found.append({"iteration": int(match.group(1)), "path": path, "bytes": size, "resumable": state})
    return sorted(found, key=lambda row: row["iteration"])


def solver_file(bench: Bench, item: Item) -> str | None:
    """Return the solver prototxt of a run relative to the root: in its folder, or one that names its prefix."""
    root, folder = bench.settings.root, os.path.dirname(item.path)
    for parent in (folder, os.path.dirname(folder)):
        own = os.path.join(parent, "solver.prototxt")
        if parent and os.path.isfile(os.path.join(root, own)):
            return own
    for parent in ("prototxt", "prototxt/quick"):
        try:
            names = sorted(os.listdir(os.path.join(root, parent)))
        except OSError:
            continue
        for name in names:
            path = os.path.join(parent, name)
            if name.endswith("solver.prototxt") and field(bench, path, "snapshot_prefix") == item.path:
                return path
    return None


def field(bench: Bench, prototxt: str | None, name: str) -> str | None:
    """Return a field of a solver prototxt as text."""
    if prototxt is None:
        return None
    text = re.sub(r"#.*", "", tail_text(os.path.join(bench.settings.root, prototxt), 1 << 20))
    match = re.search(rf'(?:^|[\s}}]){name}\s*:\s*(?:"([^"]*)"|([^\s#]+))', text)
    return (match.group(1) if match.group(1) is not None else match.group(2)) if match else None


def net_file(bench: Bench, item: Item) -> str | None:
    """Return the net prototxt of a run relative to the root, None if it is not below it."""
    root, folder = bench.settings.root, os.path.dirname(item.path)
    solver = solver_file(bench, item)
    name = field(bench, solver, "net") or field(bench, solver, "train_net")
    if solver is None or name is None:  # an archive: its deploy net
        own = os.path.join(folder, "deploy.prototxt")
        return own if os.path.isfile(os.path.join(root, own)) else None
    for path in (name, os.path.join(os.path.dirname(solver), name)):
        full = os.path.realpath(os.path.join(root, path))
        if full.startswith(root + os.sep) and os.path.isfile(full):
            return os.path.relpath(full, root)
    return None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def state(bench: Bench, item: Item, jobs: list[dict[str, Any]]) -> str:
    """Return "running", "waiting", the state of the last job, or "" for a run without a job."""
    for job in jobs:
        if job["state"] in ("running", "waiting"):
            return str(job["state"])
    try:
        recent = time.time() - os.path.getmtime(log_file(bench, item)) < _ACTIVE_SECONDS
    except OSError:
        recent = False
    if not jobs and recent and _locked(log_file(bench, item)):
        return "running"
    return str(jobs[0]["state"]) if jobs else ""


def _locked(path: str) -> bool:
    """Return whether a training holds the lock of its log."""
    try:
        import fcntl

        with open(path, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, ImportError):
        pass
    return False


def brief(bench: Bench, item: Item) -> dict[str, Any]:
    """Return what a list of runs shows: iteration, length, last loss and accuracy, state."""
    parser = train_log.Parser()
    points = parser.parse(tail_text(log_file(bench, item), _TAIL))
    accuracy = [rows for name, rows in points.items() if name.startswith("test ") and "accuracy" in name]
    return {
        "iteration": parser.iteration,
        "max_iter": _whole(field(bench, solver_file(bench, item), "max_iter")),
        "loss": points["loss"][-1][1] if points.get("loss") else None,
        "accuracy": accuracy[0][-1][1] if accuracy else None,
        "state": state(bench, item, bench.queue.of_run(item.path)),
        "snapshots": len(snapshots(bench, item)),
    }


def run(bench: Bench, request: Request) -> Page:
    """One run."""
    item = bench.item(request, "run")
    jobs = bench.queue.of_run(item.path)
    points = train_log.series(log_file(bench, item))
    others = [
        bench.find(identifier, "run") for identifier in request.query_params.get("with", "").split(",") if identifier
    ]
    found = snapshots(bench, item)
    values = {
        "title": os.path.dirname(item.path) or item.name,
        "item": item.facts(),
        "state": state(bench, item, jobs),
        "job": jobs[0] if jobs else None,
        "jobs": [{key: job.get(key) for key in ("id", "title", "state", "created")} for job in jobs],
        "snapshots": found,
        "best": train_log.best_snapshot(points),
        "max_iter": _whole(field(bench, solver_file(bench, item), "max_iter")),
        "series": points if request.url.path.endswith(".json") else None,
        "explanation": train_log.explain(points) or _failure(bench, jobs),
        "overlaid": [other.facts() for other in others[:4]],
        "runs": [other.facts() for other in bench.scan.items("run") if other != item],
        "evaluations": [e.facts() for e in bench.scan.items("evaluation") if _belongs(e, item)],
        "usage": bench.queue.usage(jobs[0]["id"])[-600:] if jobs else [],
        "databases": [other.facts() for other in bench.scan.items("database")],
        "solver": solver_file(bench, item),
        "net": net_file(bench, item),
        "test_database": test_database(bench, item),
    }
    return Page("run.html", values)


def status(bench: Bench, request: Request) -> Page:
    """The state of a run in few bytes, for a page that waits for a change."""
    item = bench.item(request, "run")
    values = {"state": state(bench, item, bench.queue.of_run(item.path)), "snapshots": len(snapshots(bench, item))}
    return Page("error.html", values)


def test_database(bench: Bench, item: Item) -> str:
    """Return the id of the database that the net is tested on, "" if it is not below the root."""
    net = net_file(bench, item)
    text = "" if net is None else tail_text(os.path.join(bench.settings.root, net), 1 << 20)
    by_path = {other.path: other.id for other in bench.scan.items("database")}
    folders = ("", os.path.dirname(net or ""))
    sources = [
        os.path.normpath(os.path.join(folder, s))
        for s in re.findall(r'source\s*:\s*"([^"]*)"', text)
        for folder in folders
    ]
    return next((by_path[source] for source in reversed(sources) if source in by_path), "")


def _belongs(evaluation: Item, item: Item) -> bool:
    folder = os.path.dirname(item.path)
    parents = {folder, os.path.dirname(folder)} - {"", "models"}
    return any(evaluation.path.startswith(parent + "/") for parent in parents)


def _failure(bench: Bench, jobs: list[dict[str, Any]]) -> str:
    """Return the error that ended the last job, "" if none did."""
    if not jobs or jobs[0]["state"] != "failed":
        return ""
    output = bench.queue.output(jobs[0]["id"], 20_000)
    found = output.rfind("error: ")
    return output[found + len("error: ") :].strip()[:2000] if found >= 0 else output.strip()[-1000:]


async def events(request: Request) -> Response:
    """Server-sent events of a run: only what follows the byte that the client has reached."""
    bench = bench_of(request)
    if bench.followers.watchers >= MAX_STREAMS:
        return Response("too many event streams are open", 503, {"retry-after": "5"})
    item = bench.item(request, "run")
    last = request.headers.get("last-event-id") or request.query_params.get("from", "0")
    start = int(last) if re.fullmatch(r"[0-9]{1,15}", last) else 0
    stream = bench.followers.of(log_file(bench, item)).watch(start)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


def log(bench: Bench, request: Request) -> Page:
    """The end of the log, or the lines that contain a text."""
    item = bench.item(request, "run")
    search = request.query_params.get("search", "")[:200]
    most = whole(request.query_params, "lines", 200, 1, 5000)
    lines = tail_text(log_file(bench, item), (32 << 20) if search else (1 << 20)).splitlines()
    if search:
        lines = [line for line in lines if search.lower() in line.lower()]
    values = {"title": f"Log of {item.name}", "item": item.facts(), "search": search, "lines": lines[-most:]}
    return Page("log.html", values)


def stop(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Stop the training of a run: it takes a snapshot first."""
    item = bench.item(request, "run")
    for job in bench.queue.of_run(item.path):
        if job["state"] in ("running", "waiting"):
            bench.queue.stop(job["id"])
    return Moved(f"/runs/{item.id}")


def resume(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Resume a run from its newest snapshot, to its end or to a later iteration."""
    item = bench.item(request, "run")
    jobs = bench.queue.of_run(item.path)
    if any(job["state"] in ("running", "waiting") for job in jobs) or state(bench, item, jobs) == "running":
        raise refuse("this run is already in the queue or running")
    form_of = jobs[0]["form"] if jobs else {}
    if jobs and jobs[0]["steps"][0][0] == "agegender":
        steps = jobs[0]["steps"]  # a recipe resumes by itself
    else:
        solver = solver_file(bench, item)
        if solver is None:
            raise refuse("no solver prototxt of this run is below the root")
        steps = [["caffe", "train", "--solver", solver, "--resume"]]
        if form_of.get("precision") == "bf16":
            steps[0] += ["--precision", "bf16"]
        if iterations := whole(form, "max_iter", 0, 1, 10**9):
            steps[0] += ["--max_iter", str(iterations)]
    title = f"Resume {os.path.dirname(item.path)}"
    job = bench.queue.add(title, steps, form_of, "train", item.path, f"/runs/{item.id}")
    return Moved(f"/runs/{item.id}", {"job": job})


def evaluate(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Evaluate a snapshot on a database."""
    item = bench.item(request, "run")
    iteration = whole(form, "iteration", -1, 0, 10**12)
    chosen = [s for s in snapshots(bench, item) if s["iteration"] == iteration] or snapshots(bench, item)[-1:]
    if not chosen:
        raise refuse("this run has no snapshot yet")
    net = net_file(bench, item)
    if net is None:
        raise refuse("the net prototxt of this run is not below the root")
    database = bench.find(form.get("database", ""), "database")
    folder, prefix = os.path.split(item.path)
    out = os.path.join(folder, "evaluations", f"iter_{chosen[0]['iteration']}-{database.id}")
    step = ["task", "evaluate", "--net", net, "--weights", chosen[0]["path"], "--database", database.path]
    step += ["--out", out, "--title", f"{folder} at {chosen[0]['iteration']}", *_labels_option(bench, item, database)]
    page = f"/evaluations/{Item('evaluation', out).id}"
    title = f"Evaluate {folder} at {chosen[0]['iteration']}"
    job = bench.queue.add(title, [step], form, "evaluate", page=page)
    return Moved(f"/jobs/{job}", {"job": job, "page": page})


def _labels_option(bench: Bench, item: Item, database: Item) -> list[str]:
    names = labels.of_folder(bench, os.path.dirname(item.path)) or labels.of_database(bench, database)
    return labels.option(bench, names, database.id)


def snapshot(bench: Bench, request: Request) -> dict[str, Any]:
    """Return the snapshot that the path parameter `iteration` names; raise NotFound."""
    item = bench.item(request, "run")
    for row in snapshots(bench, item):
        if row["iteration"] == request.path_params["iteration"]:
            return row
    raise NotFound(f"{item.name} has no snapshot of this iteration")
