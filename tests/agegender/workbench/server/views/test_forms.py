"""Forms: the commands that they queue, and what they refuse."""

import pytest
from support import workbench_root as wr
from support.workbench_root import identifier

from agegender.workbench.server import jobs

JSON = {"accept": "application/json"}
RUN, TEST, TRAIN = identifier("run", wr.RUN), identifier("database", wr.TEST), identifier("database", wr.TRAIN)


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    """Jobs stay in the queue."""
    monkeypatch.setattr(jobs.Queue, "advance", lambda self: None)


def post(client, path, **form):
    response = client.post(path, data=form, headers=JSON)
    assert response.status_code == 200, response.text
    return response.json()


def only_job(client):
    (job,) = client.get("/jobs.json").json()["jobs"]
    return client.get(f"/jobs/{job['id']}.json").json()["job"]


def refused(client, path, reason, **form):
    response = client.post(path, data=form, headers=JSON)
    assert response.status_code in (400, 404) and reason in response.json()["error"], response.text


def test_synthetic_data_set(client):
    post(client, "/new-dataset", source="synthetic", count="50", size="64", train="0.7", exclude_near_duplicates="1")
    job = only_job(client)
    assert [step[:2] for step in job["steps"]] == [
        ["agegender", "synthesize-faces"],
        ["agegender", "build-dataset"],
        ["agegender", "create-lmdb"],
        ["agegender", "create-mean"],
    ]
    assert job["steps"][0][-4:] == ["--count", "50", "--seed", "1"]
    assert {"--train", "0.7", "--exclude-near-duplicates"} <= set(job["steps"][1])
    clone = client.get(f"/new-dataset?clone={job['id']}").text
    assert 'value="50"' in clone and 'value="0.7"' in clone


def test_steps_of_the_forms_are_options_of_the_commands(client, root):
    """Every option that is queued is one of its command's parser."""
    import argparse
    import importlib

    (root / "data/pets/cat").mkdir(parents=True)
    (root / "data/pets/dog").mkdir()
    for name in ("cat", "dog"):
        (root / f"data/pets/{name}/1.png").touch()
    parent = client.get("/new-dataset.json").json()["parents"]
    folder = next(row["id"] for row in parent if row["name"] == "data/pets")
    faces = identifier("images", "data/faces")
    post(client, "/new-dataset", source="synthetic", exclude_near_duplicates="1")
    post(client, "/new-dataset", source="faces", faces=faces, race="all")
    post(client, "/new-dataset", source="folders", parent=folder, name="animals", encoding="jpg")
    post(client, "/train", kind="net", net=wr.NET, solver=wr.SOLVER, name="new", weights=f"{RUN}:20", precision="bf16")
    post(
        client, "/train", kind="recipe", recipe="compact", faces=faces, name="by-recipe", minutes="2", net="", solver=""
    )
    post(client, f"/runs/{RUN}/resume", max_iter="40")
    post(client, "/deploy", snapshot=f"{RUN}:20", name="x", shaves="4,8", inputs="U8")
    checked = 0
    for row in client.get("/jobs.json").json()["jobs"]:
        for step in client.get(f"/jobs/{row['id']}.json").json()["job"]["steps"]:
            package = {"agegender": "agegender.cli", "caffe": "caffe.tools", "ncs": "ncs.cli"}.get(step[0])
            if package is None:
                continue
            parser = argparse.ArgumentParser()
            importlib.import_module(f"{package}.{step[1].replace('-', '_')}").add_arguments(parser)
            arguments = step[2:]
            parser.parse_args(arguments)
            checked += 1
    assert checked == 4 + 3 + 3 + 1 + 1 + 1 + 2


@pytest.mark.parametrize(
    "form,reason",
    [
        ({"source": "else"}, "source: expected one of"),
        ({"source": "synthetic", "count": "7"}, "count: expected a whole number from 20"),
        ({"source": "synthetic", "train": "2"}, "train: expected a number"),
        ({"source": "synthetic", "train": "nan"}, "train: expected a number"),
        ({"source": "faces", "faces": "../../x"}, "has the id"),
        ({"source": "folders", "parent": "/etc", "name": "x"}, "one folder of images per class"),
        ({"source": "list", "list": "/etc/passwd", "name": "x"}, "list: expected a text file"),
    ],
)
def test_data_set_form_refuses(client, root, form, reason):
    refused(client, "/new-dataset", reason, **form)
    assert not (root / "jobs").exists()


def test_training_has_a_folder_of_its_own(client, root):
    answer = post(
        client, "/train", kind="net", net=wr.NET, solver=wr.SOLVER, name="new", train_database=TRAIN, max_iter="30"
    )
    assert answer["address"] == f"/runs/{identifier('run', 'models/new/train')}"
    assert only_job(client)["steps"] == [
        ["caffe", "train", "--solver", "models/new/solver.prototxt", "--resume", "--precision", "float32"]
    ]
    solver = (root / "models/new/solver.prototxt").read_text()
    assert 'net: "models/new/train_val.prototxt"' in solver and "max_iter: 30" in solver
    assert (root / "models/new/labels.txt").read_text().startswith("0-9\n")
    page = client.get(answer["address"] + ".json").json()
    assert page["state"] == "waiting" and page["max_iter"] == 30
    refused(client, "/train", "exists", kind="net", net=wr.NET, solver=wr.SOLVER, name="new")


def test_several_learning_rates_are_several_runs(client, root):
    answer = post(client, "/train", kind="net", net=wr.NET, solver=wr.SOLVER, name="sweep", base_lr="0.1, 0.01,1e-3")
    assert len(answer["jobs"]) == 3
    for rate in ("0.1", "0.01", "0.001"):
        assert f"base_lr: {rate}\n" in (root / f"models/sweep-lr{rate}/solver.prototxt").read_text()


def test_form_of_a_run_has_its_files(client):
    filled = client.get(f"/train.json?run={RUN}&weights={RUN}:10").json()["form"]
    assert (filled["net"], filled["solver"], filled["weights"]) == (wr.NET, wr.SOLVER, f"{RUN}:10")
    assert filled["name"] == "demo-1"


def test_running_training_is_not_resumed_twice(client):
    post(client, f"/runs/{RUN}/resume")
    refused(client, f"/runs/{RUN}/resume", "already in the queue")
    post(client, f"/runs/{RUN}/stop")
    assert client.get(f"/runs/{RUN}/state.json").json()["state"] == "stopped"


def test_evaluation_of_a_snapshot(client):
    answer = post(client, f"/runs/{RUN}/evaluate", iteration="10", database=TEST)
    (step,) = only_job(client)["steps"]
    options = dict(zip(step[2::2], step[3::2]))
    assert options["--weights"] == wr.RUN + "_iter_10.caffemodel" and options["--database"] == wr.TEST
    assert answer["page"].startswith("/evaluations/")
    refused(client, f"/runs/{RUN}/evaluate", "has the id", database="x")


def test_compilation_takes_the_preprocessing_of_the_net(client):
    post(client, "/deploy", snapshot=f"{RUN}:20", name="x", shaves="4", platform="MA2450")
    compiled, profiled = only_job(client)["steps"]
    text = " ".join(compiled)
    assert "--mean data/mean/mean.binaryproto --scale 0.01" in text and "--platform MA2450 -s 4" in text
    assert profiled[:2] == ["ncs", "profile"] and "ESTIMATE" in profiled
    for snapshot in (f"{RUN}:77", "x:1", ""):
        refused(client, "/deploy", "", snapshot=snapshot)
    refused(client, "/deploy", "shaves", snapshot=f"{RUN}:20", shaves="99")
    refused(client, "/deploy", "name", snapshot=f"{RUN}:20", name="../x")


def test_archive_is_taken_as_a_job(client, root):
    files = {"archive": ("../../model.tar", b"content")}
    response = client.post("/archives", data={"name": "taken"}, files=files, headers=JSON)
    assert response.status_code == 200
    (step,) = only_job(client)["steps"]
    assert step[:2] == ["task", "archive"] and step[-1] == "models/taken"
    assert (root / step[2]).read_bytes() == b"content"
    for form in ({"name": "demo"}, {"name": "../x"}):
        assert client.post("/archives", data=form, files=files, headers=JSON).status_code == 400
    assert client.post("/archives", data={"name": "y"}, headers=JSON).status_code == 400


def test_overlaid_runs_are_in_the_address(client):
    page = client.get(f"/runs/{RUN}.json?with={RUN}").json()
    assert [run["id"] for run in page["overlaid"]] == [RUN]
    assert client.get(f"/runs/{RUN}?with=nothing").status_code == 404


def test_log_is_searched(client):
    page = client.get(f"/runs/{RUN}/log.json?search=snapshotting&lines=2").json()
    assert len(page["lines"]) == 2 and all("Snapshotting" in line for line in page["lines"])
    assert client.get(f"/runs/{RUN}/log.json?search=nothing-like-this").json()["lines"] == []
