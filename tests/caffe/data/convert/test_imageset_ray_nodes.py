"""convert_imageset on two Ray nodes of this machine: a lost node changes no record and doubles none."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
from support import ray_nodes

from caffe.data.db import open_db

IMAGES, SHARDS, DEADLINE = 240, 40, 120


def write_images(folder):
    """Write images that take a while to decode, and their list."""
    rng = np.random.default_rng(4)
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (1200, 1200, 3), np.uint8))
    (folder / "list.txt").write_text("".join(f"{i % 6}.png {i}\n" for i in range(IMAGES)))


def start(folder, name, *more):
    command = [sys.executable, "-m", "caffe", "convert_imageset", "--resize_height=20", "--resize_width=30", *more]
    command += [f"--shards={SHARDS}", f"{folder}/", str(folder / "list.txt"), str(folder / name)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def records(path):
    with open_db(str(path)) as database:
        return list(database)


def test_a_lost_node(tmp_path, monkeypatch):
    write_images(tmp_path)
    with ray_nodes.two_nodes(monkeypatch) as cluster:
        conversion = start(tmp_path, "db", "--ray", cluster.address)
        deadline = time.monotonic() + DEADLINE
        while len(list(tmp_path.glob("db-*"))) < 4:
            assert conversion.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        ray_nodes.lose_node(cluster)
        assert not (tmp_path / "db").exists()
        assert conversion.wait(DEADLINE) == 0
    assert start(tmp_path, "expected").wait(DEADLINE) == 0
    found = records(tmp_path / "db")
    assert found == records(tmp_path / "expected") and len(found) == IMAGES
    assert len(list(tmp_path.glob("db-*"))) == SHARDS
