"""Home: data sets, runs, evaluations, models and jobs of the root."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from starlette.requests import Request

from agegender.workbench.server import databases
from agegender.workbench.server.bench import Bench, NotFound, natural
from agegender.workbench.server.respond import Moved, Page
from agegender.workbench.server.views import runs
from caffe.errors import CaffeError

JOBS_SHOWN = 8


def home(bench: Bench, request: Request) -> Page:
    """Everything below the root."""
    items: dict[str, list[dict[str, Any]]] = {}
    for item in sorted(bench.scan.items(), key=lambda item: natural(item.path)):
        items.setdefault(item.kind, []).append({**item.facts(), **_facts(bench, item)})
    jobs = bench.queue.all()
    values = {
        "title": os.path.basename(bench.settings.root) or "/",
        "databases": items.get("database", []),
        "images": items.get("images", []),
        "lists": items.get("lists", []),
        "runs": items.get("run", []),
        "evaluations": items.get("evaluation", []),
        "models": items.get("model", []),
        "weights": items.get("weights", []),
        "jobs": [_brief(job) for job in jobs[:JOBS_SHOWN]],
        "jobs_total": len(jobs),
    }
    return Page("home.html", values)


def _facts(bench: Bench, item: Any) -> dict[str, Any]:
    """Return what a line of the home page shows of an item."""
    path = bench.path(item)
    with contextlib.suppress(CaffeError, OSError, ValueError, KeyError, TypeError):
        if item.kind == "database":
            return {"records": databases.length(path), "bytes": os.path.getsize(os.path.join(path, "data.mdb"))}
        if item.kind == "run":
            return runs.brief(bench, item)
        if item.kind == "evaluation":
            with open(os.path.join(path, "report.json"), encoding="utf-8") as stream:
                report = json.load(stream)
            return {"net": str(report["net"]), "accuracy": float(report["accuracy"]), "total": int(report["total"])}
        if item.kind == "weights":
            return {"bytes": os.path.getsize(path)}
    return {}


def _brief(job: dict[str, Any]) -> dict[str, Any]:
    return {key: job.get(key) for key in ("id", "title", "state", "created", "started", "ended", "page", "kind")}


def jobs(bench: Bench, request: Request) -> Page:
    """All jobs."""
    return Page("jobs.html", {"title": "Jobs", "jobs": [_brief(job) for job in bench.queue.all()]})


def job(bench: Bench, request: Request) -> Page:
    """One job with its output."""
    found = bench.queue.get(request.path_params["id"])
    if found is None:
        raise NotFound("no such job")
    run = bench.scan.get(_run_id(found)) if found["run"] else None
    values = {"job": found, "output": bench.queue.output(found["id"]), "usage": bench.queue.usage(found["id"])}
    return Page("job.html", {"title": found["title"], **values, "run": run.facts() if run else None})


def _run_id(found: dict[str, Any]) -> str:
    from agegender.workbench.server.scan import Item

    return Item("run", found["run"]).id


def stop(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Stop a job."""
    name = _existing(bench, request)
    bench.queue.stop(name)
    return Moved(f"/jobs/{name}")


def remove(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Remove the record of an ended job."""
    bench.queue.remove(_existing(bench, request))
    return Moved("/jobs")


def again(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Run the same steps once more: a training resumes from its newest snapshot."""
    found = bench.queue.get(_existing(bench, request))
    assert found is not None
    new = bench.queue.add(found["title"], found["steps"], found["form"], found["kind"], found["run"], found["page"])
    return Moved(f"/jobs/{new}", {"id": new})


def _existing(bench: Bench, request: Request) -> str:
    name = request.path_params["id"]
    if bench.queue.get(name) is None:
        raise NotFound("no such job")
    return name
