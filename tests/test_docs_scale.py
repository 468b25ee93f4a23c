"""The examples of docs/guides/scale.md on small files, one per engine: processes, Ray, the server.

Training in processes and databases in shards are in test_docs_commands.py, torchrun is in test_train_workers.py.
"""

import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import compiled_nets, doc_commands
from support.checkout import ROOT

from agegender.bulk import rows
from agegender.cli import main as agegender_main
from agegender.synthetic_faces import draw
from caffe.tools import main as caffe_main

PAGE = (ROOT / "docs/guides/scale.md").read_text(encoding="utf-8")
COUNT = 6


def _commands(start):
    """Return the words of the page's commands that begin with `start`."""
    return [words for words in doc_commands.commands(PAGE) if words[: len(start)] == start]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The files that the page names."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "faces").mkdir()
    (folder / "graph").mkdir()
    for i in range(COUNT):
        cv2.imwrite(str(folder / f"faces/{i}.png"), draw(12 * i, i % 2, i))
    cv2.imwrite(str(folder / "face.jpg"), draw(30, 0, 9))
    (folder / "all.txt").write_text("".join(f"{folder}/faces/{i}.png\n" for i in range(COUNT)))
    (folder / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(COUNT)))
    transform = compiled_nets.transform(np.full((3, 20, 20), 110, np.float32))
    compiled_nets.compile_age_and_gender(folder / "graph", transform)
    return folder


@pytest.fixture
def in_directory(directory, monkeypatch):
    monkeypatch.chdir(directory)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of the processes
    return directory


@pytest.fixture
def ray_cluster(monkeypatch):
    """A cluster on this machine, which `--ray auto` finds."""
    pytest.importorskip("ray", reason="ray is not installed (extra `ray`)")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    cluster.shutdown()


def _run_predictions(words, capsys):
    """Run an example of `agegender predict`; return its rows and what it printed."""
    capsys.readouterr()
    assert agegender_main([*words[1:], "--device", "CPU"]) == 0
    folder = words[len(words) - words[::-1].index("-o")]
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [row for name in names for row in rows.read(f"{folder}/{name}")], capsys.readouterr()


def test_predictions_in_bulk(in_directory, capsys):
    plan, processes, _ = _commands(["agegender", "predict"])
    assert "--dry-run" in plan and "--workers" in processes
    _, printed = _run_predictions(plan, capsys)
    assert f"{COUNT} images in 1 shards" in printed.err and "ms per image" in printed.out
    assert not os.path.exists("predictions")
    found, _ = _run_predictions(processes, capsys)
    assert [row["image"] for row in found] == (in_directory / "all.txt").read_text().split()
    assert not any("error" in row for row in found)


def test_ray(in_directory, ray_cluster, capsys):
    """Predictions and a database; the rows and bytes are those of this process."""
    (on_ray,) = (words for words in _commands(["agegender", "predict"]) if "--ray" in words)
    expected, _ = _run_predictions([*on_ray[: on_ray.index("--ray")], "-o", "here"], capsys)
    found, _ = _run_predictions([*on_ray, "-o", "there"], capsys)
    assert found == expected and len(found) == COUNT
    here, there = _commands(["convert_imageset"])
    assert "--ray" in there and here == [word for word in there if word not in ("--ray", "auto")]
    assert caffe_main([*here[:-1], "shards_here"]) == 0 and caffe_main([*there[:-1], "shards_there"]) == 0
    for i in range(2):
        name = f"-0000{i}-of-00002/data.mdb"
        assert (in_directory / ("shards_there" + name)).read_bytes() == (
            in_directory / ("shards_here" + name)
        ).read_bytes()


def test_serving(in_directory, capsys):
    pytest.importorskip("starlette", reason="the extra `serve` is not installed")
    pytest.importorskip("grpc", reason="the extra `serve` is not installed")
    words = _commands(["ncs", "serve"])[0]
    assert words[-4:] == ["--port", "8000", "--grpc", "9000"]
    command = [sys.executable, "-m", *words[:-4], "--port", "0", "--grpc", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        found = next(filter(None, (re.match(r"Serving .* at http://127.0.0.1:(\d+)", line) for line in server.stderr)))
        (code,) = doc_commands.python_blocks(PAGE)
        assert ":8000/" in code
        script = Path("client.py")
        script.write_text(code.replace(":8000/", f":{found.group(1)}/"))
        runpy.run_path(str(script))
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    probabilities = [float(value) for value in re.findall(r"[\d.e-]+", capsys.readouterr().out)]
    assert len(probabilities) == 9 and sum(probabilities) == pytest.approx(1, abs=1e-3)
