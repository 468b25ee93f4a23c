"""Train: the form over net, solver and recipe, its check, and the jobs that it starts."""

from __future__ import annotations

import os
import re
from typing import Any

from starlette.requests import Request

from agegender import workspace
from agegender.workbench.server import labels, task
from agegender.workbench.server.bench import Bench, choice, folder_name, real, whole
from agegender.workbench.server.respond import Moved, Page, refuse
from agegender.workbench.server.scan import Item
from agegender.workbench.server.views import runs

PRESETS = {
    "AgeNet-quick": ("AgeNet, minutes (Adam)", "AgeNet_train_test.prototxt", "quick/AgeNet_solver.prototxt"),
    "AgeNet": ("AgeNet, the original's solver", "AgeNet_train_test.prototxt", "AgeNet_solver.prototxt"),
    "GenderNet-quick": (
        "GenderNet, minutes (Adam)",
        "GenderNet_train_test.prototxt",
        "quick/GenderNet_solver.prototxt",
    ),
    "GenderNet": ("GenderNet, the original's solver", "GenderNet_train_test.prototxt", "GenderNet_solver.prototxt"),
}
POLICIES = ("", "fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid", "cosine")
MAX_SWEEP = 20
MAX_TEXT = 900_000


def form(bench: Bench, request: Request) -> Page:
    """The form, filled from a preset, an earlier run or a job."""
    query = request.query_params
    filled = _filled(bench, query)
    values = {
        "title": "Train",
        "presets": [{"id": name, "title": title} for name, (title, *_) in PRESETS.items()],
        "databases": [item.facts() for item in bench.scan.items("database")],
        "images": [item.facts() for item in bench.scan.items("images")],
        "policies": POLICIES,
        "recipes": _recipes(),
        "snapshots": _snapshots(bench),
        "form": filled,
    }
    return Page("train.html", values)


def _filled(bench: Bench, query: Any) -> dict[str, Any]:
    job = bench.queue.get(query.get("clone", ""))
    if job is not None and job["kind"] == "train":
        return {**job["form"], "name": _free_name(bench, job["form"].get("name", "run"))}
    if query.get("run"):
        return _of_run(bench, query)
    preset = choice(query, "preset", PRESETS)
    net, solver = _texts(bench, preset)
    name = _free_name(bench, query.get("name", "") or preset)
    return {
        "kind": "net",
        "preset": preset,
        "name": name,
        "net": net,
        "solver": solver,
        "weights": query.get("weights", ""),
    }


def _of_run(bench: Bench, query: Any) -> dict[str, Any]:
    """Return the form of an existing run, for a clone or, with `weights`, a fine-tuning."""
    item = bench.find(query["run"], "run")
    solver = runs.solver_file(bench, item)
    if solver is None:
        raise refuse("this run has no solver prototxt below the root; start from a preset")
    net = runs.net_file(bench, item)
    name = _free_name(bench, os.path.basename(os.path.dirname(item.path)))
    texts = {"net": _text(bench, net) if net else "", "solver": _text(bench, solver)}
    return {"kind": "net", "preset": "", "name": name, "weights": query.get("weights", ""), **texts}


def _text(bench: Bench, relative: str) -> str:
    with open(os.path.join(bench.settings.root, relative), encoding="utf-8", errors="replace") as stream:
        return stream.read(MAX_TEXT)


def _texts(bench: Bench, preset: str) -> tuple[str, str]:
    texts = []
    for name in PRESETS[preset][1:]:
        own = os.path.join(bench.settings.root, workspace.PROTOTXT, name)
        path = own if os.path.isfile(own) and not os.path.islink(own) else workspace.packaged_prototxt(name)
        with open(path, encoding="utf-8", errors="replace") as stream:
            texts.append(stream.read(MAX_TEXT))
    return texts[0], texts[1]


def _free_name(bench: Bench, name: str) -> str:
    base = re.sub(r"-\d+$", "", re.sub(r"[^A-Za-z0-9_.-]", "-", name)).strip("-.")[:50] or "run"
    number = 1
    while os.path.lexists(os.path.join(bench.settings.root, "models", f"{base}-{number}")):
        number += 1
    return f"{base}-{number}"


def _recipes() -> list[dict[str, Any]]:
    from agegender.recipes import recipes

    return [{"name": r.name, "title": r.title, "minutes": r.minutes} for r in recipes().values()]


def _snapshots(bench: Bench) -> list[dict[str, str]]:
    """Return the snapshots that a training can start from."""
    found = []
    for item in bench.scan.items("run"):
        for snapshot in runs.snapshots(bench, item):
            iteration = snapshot["iteration"]
            found.append({"id": f"{item.id}:{iteration}", "name": f"{item.name}, iteration {iteration}"})
    found += [{"id": item.id, "name": item.name} for item in bench.scan.items("weights")]
    return found


def weights_path(bench: Bench, identifier: str) -> str:
    """Return the path (relative to the root) of a snapshot or file of weights by its id."""
    run, _, iteration = identifier.partition(":")
    if not iteration:
        return bench.find(run, "weights").path
    item = bench.find(run, "run")
    for snapshot in runs.snapshots(bench, item):
        if str(snapshot["iteration"]) == iteration:
            return snapshot["path"]
    raise refuse(f"weights: {item.name} has no snapshot of iteration {iteration[:20]}")


def _request(bench: Bench, form: dict[str, str], name: str) -> dict[str, Any]:
    """Return the values of the tasks check_net and write_run."""
    values: dict[str, Any] = {
        "net": form.get("net", "")[:MAX_TEXT],
        "solver": form.get("solver", "")[:MAX_TEXT],
        "run": f"models/{name}",
        "max_iter": whole(form, "max_iter", 0, 1, 10**9) or None,
        "display": whole(form, "display", 0, 1, 10**9) or None,
        "snapshot": whole(form, "snapshot", 0, 1, 10**9) or None,
        "test_interval": whole(form, "test_interval", 0, 1, 10**9) or None,
        "batch_size": whole(form, "batch_size", 0, 1, 100_000) or None,
        "lr_policy": choice(form, "lr_policy", POLICIES) or None,
        "gamma": real(form, "gamma", None, 0, 1e6),
        "power": real(form, "power", None, 0, 1e6),
        "stepsize": whole(form, "stepsize", 0, 1, 10**9) or None,
        "seed": whole(form, "seed", -1, 0, 2**31 - 1),
    }
    values["seed"] = None if values["seed"] < 0 else values["seed"]
    for part in ("train", "test"):
        if form.get(f"{part}_database"):
            item = bench.find(form[f"{part}_database"], "database")
            values[f"{part}_database"] = item.path
            if part == "train":
                values |= _of_database(bench, item)
    return values


def _of_database(bench: Bench, item: Item) -> dict[str, Any]:
    """Return mean, labels and number of classes of a training database that is not named in the net."""
    folder = os.path.dirname(item.path)
    values: dict[str, Any] = {}
    for mean in (
        os.path.join(folder, "mean.binaryproto"),
        os.path.normpath(os.path.join(folder, "../mean/mean.binaryproto")),
    ):
        if os.path.isfile(os.path.join(bench.settings.root, mean)):
            values["mean"] = mean
            break
    names = labels.of_database(bench, item)
    if names:
        values |= {"labels": names, "classes": len(names)}
    return values


def check(bench: Bench, request: Request, form: dict[str, str]) -> Page:
    """Errors, graph, schedule and estimates of the form, as JSON."""
    rates = _rates(form)
    values = _request(bench, form, folder_name(form, "name", "run"))
    values["base_lr"] = rates[0]
    return Page("check.html", task.run(bench, "check_net", values, seconds=120, threads=2).values)


def _rates(form: dict[str, str]) -> list[float | None]:
    """Return the learning rates of the form: one training each."""
    texts = [text.strip() for text in form.get("base_lr", "").split(",") if text.strip()]
    if len(texts) > MAX_SWEEP:
        raise refuse(f"base_lr: expected at most {MAX_SWEEP} rates, received {len(texts)}")
    return [real({"base_lr": text}, "base_lr", None, 0, 1e6) for text in texts] or [None]


def start(bench: Bench, request: Request, form: dict[str, str]) -> Moved:
    """Write the run's folder and queue the training; several learning rates give one run each."""
    if choice(form, "kind", ("net", "recipe")) == "recipe":
        return _start_recipe(bench, form)
    name, rates = folder_name(form, "name"), _rates(form)
    precision = choice(form, "precision", ("float32", "bf16"))
    weights = weights_path(bench, form["weights"]) if form.get("weights") else ""
    item, jobs = None, []
    for rate in rates:
        each = name if len(rates) == 1 else f"{name}-lr{rate:g}"
        values = {**_request(bench, form, each), "base_lr": rate}
        written = task.run(bench, "write_run", values).values
        step = ["caffe", "train", "--solver", written["solver"], "--resume", "--precision", precision]
        step += ["--weights", weights] if weights else []
        item = item or Item("run", f"models/{each}/train")
        page = f"/runs/{Item('run', f'models/{each}/train').id}"
        saved = {**form, "name": each}
        jobs.append(bench.queue.add(f"Train {each}", [step], saved, "train", f"models/{each}/train", page))
    bench.scan.forget()
    assert item is not None
    return Moved(f"/runs/{item.id}", {"jobs": jobs, "run": item.id})


def _start_recipe(bench: Bench, form: dict[str, str]) -> Moved:
    names = [recipe["name"] for recipe in _recipes()]
    recipe, name = choice(form, "recipe", names), folder_name(form, "name")
    faces = bench.find(form.get("faces", ""), "images")
    folder = f"models/{name}"
    step = ["agegender", "train", "--recipe", recipe, "--faces", faces.path, "--out", folder]
    step += ["--race", choice(form, "race", ("all", "asian", "white", "black", "indian", "others"))]
    step += ["--seed", str(whole(form, "seed", 230, 0, 2**31 - 1))]
    step += ["--precision", choice(form, "precision", ("float32", "bf16"))]
    if iterations := whole(form, "max_iter", 0, 1, 10**9):
        step += ["--iterations", str(iterations)]
    elif minutes := real(form, "minutes", 0, 0.1, 10_000):
        step += ["--minutes", f"{minutes:g}"]
    item = Item("run", f"{folder}/snapshots/net")
    job = bench.queue.add(f"Train {name} by {recipe}", [step], form, "train", item.path, f"/runs/{item.id}")
    return Moved(f"/jobs/{job}", {"jobs": [job], "run": item.id})
