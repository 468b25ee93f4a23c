"""Two Ray nodes on one machine: a lost node or a killed driver changes no row and doubles none."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from support import compiled_nets, ray_nodes

from agegender.bulk import rows

COUNT, SHARD, DEADLINE = 120, 3, 120


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Nets, a list of images that take a while to decode, and their rows as predicted without Ray."""
    folder = tmp_path_factory.mktemp("nodes")
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform(np.full((3, 20, 20), 110, np.float32)))
    rng = np.random.default_rng(2)
    for i in range(7):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (900, 900, 3), np.uint8))
    (folder / "6.png").write_bytes(b"no image")
    (folder / "all.txt").write_text("".join(f"{folder}/{i % 7}.png\n" for i in range(COUNT)))
    assert _start(folder, "expected").wait(DEADLINE) == 0
    return folder


@pytest.fixture
def cluster(monkeypatch):
    with ray_nodes.two_nodes(monkeypatch) as cluster:
        yield cluster


def _start(graph, output, *more):
    command = [sys.executable, "-m", "agegender", "predict", "--list", str(graph / "all.txt"), "--shard", str(SHARD)]
    command += ["--model-dir", str(graph), "--device", "CPU", "-o", str(graph / output), *more]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def _parts(folder):
    return [name for name in os.listdir(folder) if name.startswith("part-")] if folder.exists() else []


def _wait_for_parts(folder, count, child):
    deadline = time.monotonic() + DEADLINE
    while len(_parts(folder)) < count:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def _rows(folder):
    return [row for name in sorted(_parts(folder)) for row in rows.read(str(folder / name))]


def test_a_killed_driver_and_a_lost_node(graph, cluster):
    """The driver is killed and started again; then one of the nodes, with the actor that runs there."""
    first = _start(graph, "out", "--ray", cluster.address)
    _wait_for_parts(graph / "out", 3, first)
    first.kill()
    first.wait()
    before = len(_parts(graph / "out"))
    assert before < COUNT // SHARD - 10
    second = _start(graph, "out", "--ray", cluster.address)
    _wait_for_parts(graph / "out", before + 3, second)
    ray_nodes.lose_node(cluster)
    assert len(_parts(graph / "out")) < COUNT // SHARD
    assert second.wait(DEADLINE) == 0
    assert len(_parts(graph / "out")) == COUNT // SHARD
    assert _rows(graph / "out") == _rows(graph / "expected") and len(_rows(graph / "out")) == COUNT
