"""Deploy: compile a snapshot for a stick and for OpenVINO's devices; what is compiled; state of the stick."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from starlette.requests import Request

from agegender.workbench.server import labels, task
from agegender.workbench.server.bench import Bench, choice, folder_name, real, whole
from agegender.workbench.server.job_process import command
from agegender.workbench.server.jobs import tail_text
from agegender.workbench.server.respond import Moved, Page, refuse
from agegender.workbench.server.scan import Item
from agegender.workbench.server.views import runs

PLATFORMS = ("MA2480", "MA2450")
INPUTS = ("FP32", "FP16", "U8")


def form(bench: Bench, request: Request) -> Page:
    """The form and the compiled models."""
    query = request.query_params
    snapshots = []
    for item in bench.scan.items("run"):
        for row in runs.snapshots(bench, item):
            identifier = f"{item.id}:{row['iteration']}"
            snapshots.append({"id": identifier, "name": f"{os.path.dirname(item.path)}, iteration {row['iteration']}"})
    values = {
        "title": "Deploy",
        "snapshots": snapshots,
        "chosen": f"{query.get('run', '')}:{query.get('iteration', '')}",
        "models": [item.facts() for item in bench.scan.items("model")],
        "platforms": PLATFORMS,
        "inputs": INPUTS,
        "form": _cloned(bench, request),
    }
    return Page("deploy.html", values)


def _cloned(bench: Bench, request: Request) -> dict[str, Any]:
    job = bench.queue.get(request.query_params.get("clone", ""))
    return job["form"] if job else {}


def compile(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Queue `ncs compile` and the estimate of its time on the stick."""
    run, _, iteration = form.get("snapshot", "").partition(":")
    item = bench.find(run, "run")
    row = next((row for row in runs.snapshots(bench, item) if str(row["iteration"]) == iteration), None)
    net = runs.net_file(bench, item)
    if row is None or net is None:
        raise refuse("snapshot: expected a snapshot of a run whose net prototxt is below the root")
    name = folder_name(form, "name", os.path.basename(os.path.dirname(item.path)))
    shaves = [str(whole({"shaves": part}, "shaves", 8, 1, 16)) for part in form.get("shaves", "").split(",") if part]
    stem, platform = f"graph/{name}", choice(form, "platform", PLATFORMS)
    step = ["ncs", "compile", net, "-w", row["path"], "-o", stem, "--platform", platform]
    step += ["-s", ",".join(shaves)] if shaves else []
    step += ["-ip", choice(form, "inputs", INPUTS), "-op", choice(form, "outputs", ("FP32", "FP16"))]
    step += _preprocessing(bench, net) + _labels(bench, item)
    steps = [step]
    if form.get("no_blob"):
        step.append("--no-blob")
    else:
        files = ["-o", f"{stem}_profile.html", "--json", f"{stem}_profile.json"]
        estimate = ["ncs", "profile", net, "-w", row["path"], "--platform", platform, "-d", "ESTIMATE", *files]
        steps.append(estimate + (["-s", shaves[0]] if shaves else []))
    page = f"/models/{Item('model', stem).id}"
    os.makedirs(os.path.join(bench.settings.root, "graph"), exist_ok=True)
    job = bench.queue.add(f"Compile {name}", steps, form, "compile", page=page)
    return Moved(f"/jobs/{job}", {"job": job, "page": page})


def _preprocessing(bench: Bench, net: str) -> list[str]:
    """Return --mean and --scale as the data layers of the net have them."""
    text = re.sub(r"#.*", "", tail_text(os.path.join(bench.settings.root, net), 1 << 20))
    options = []
    if match := re.search(r'mean_file\s*:\s*"([^"]+)"', text):
        options += ["--mean", match.group(1)]
    elif values := re.findall(r"mean_value\s*:\s*([-+.\deE]+)", text)[:3]:
        options += ["--mean", ",".join(values if len(values) == 3 else values[:1] * 3)]
    if match := re.search(r"transform_param\s*\{[^}]*?\bscale\s*:\s*([-+.\deE]+)", text):
        options += ["--scale", f"{real({'scale': match.group(1)}, 'scale', 1.0, -1e6, 1e6):g}"]
    return options


def _labels(bench: Bench, item: Item) -> list[str]:
    tested = runs.test_database(bench, item)
    names = labels.of_folder(bench, os.path.dirname(item.path))
    if not names and tested:
        names = labels.of_database(bench, bench.find(tested))
    return labels.option(bench, names, item.id)


def doctor(bench: Bench, request: Request) -> Page:
    """The findings of `ncs doctor` on this machine."""
    process = subprocess.run(
        command(["ncs", "doctor", "--json"]), capture_output=True, timeout=60, env=task.environment(), cwd="/"
    )
    try:
        findings = json.loads(process.stdout)
    except ValueError:
        raise refuse("ncs doctor gave no answer: " + process.stderr.decode("utf-8", "replace")[-300:]) from None
    return Page("doctor.html", {"title": "Stick and drivers", "findings": findings})
