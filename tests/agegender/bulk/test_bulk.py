"""`agegender predict --list -o`: rows equal single predictions, bad images are rows, runs resume, processes may die."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from support import compiled_nets

from agegender.bulk import engine, rows, shards
from agegender.errors import AgeGenderError
from caffe.utils.cli import commands

COUNT = 23


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Nets, 23 images of which two are none, and a list of them."""
    folder = tmp_path_factory.mktemp("bulk")
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform(np.full((3, 20, 20), 110, np.float32)))
    rng = np.random.default_rng(1)
    names = [str(folder / f"{i}.png") for i in range(COUNT)]
    for name in names:
        cv2.imwrite(name, rng.integers(0, 255, (30, 26, 3), np.uint8))
    os.unlink(names[4])
    (folder / "17.png").write_bytes(b"no image")
    (folder / "all.txt").write_text("\n".join(names) + "\n\n")
    return folder


def _run(graph, *argv):
    options = ["--model-dir", str(graph), "--device", "CPU", *map(str, argv)]
    return commands.run_command("agegender.cli", "predict", "agegender predict", options)


def _rows(folder):
    return [row for name in sorted(os.listdir(folder)) for row in rows.read(os.path.join(folder, name))]


@pytest.fixture(scope="module")
def expected(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    assert _run(graph, "--list", graph / "all.txt", "-o", folder, "--shard", 5) == 0
    return _rows(folder)


def test_rows_are_those_of_single_predictions(graph, expected, capsys):
    assert len(expected) == COUNT
    capsys.readouterr()
    for number in (0, 22):
        assert _run(graph, "--image_path", graph / f"{number}.png", "--json", "--no-framing-check") == 0
        answers = json.loads(capsys.readouterr().out)["answers"]
        row = expected[number]
        assert row["image"] == str(graph / f"{number}.png") and "error" not in row
        for name, answer in answers.items():
            assert row[name] == answer["label"]
            np.testing.assert_allclose(row[name + "_probabilities"], answer["probabilities"], atol=1e-6)
    assert "no such file" in expected[4]["error"] and "not an image" in expected[17]["error"]


def test_an_interrupted_run_continues_without_doubles(graph, expected, tmp_path, capsys):
    command = ["--list", graph / "all.txt", "-o", tmp_path / "out", "--shard", 5]
    assert _run(graph, *command) == 0
    names = sorted(os.listdir(tmp_path / "out"))
    assert len(names) == 5
    kept = os.stat(tmp_path / "out" / names[0]).st_mtime_ns
    os.unlink(tmp_path / "out" / names[3])
    capsys.readouterr()
    assert _run(graph, *command) == 0
    assert "23 images in 5 shards of 5; 4 are done" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "out")) == names and _rows(tmp_path / "out") == expected
    assert os.stat(tmp_path / "out" / names[0]).st_mtime_ns == kept


def test_shards_of_another_run_are_refused(graph, tmp_path, capsys):
    command = ["--list", graph / "all.txt", "-o", tmp_path / "out"]
    assert _run(graph, *command, "--shard", 5) == 0
    for other in (["--shard", 6], ["--shard", 5, "--flip"]):
        assert _run(graph, *command, *other) == 1
        assert "is of another list, other settings or another --shard" in capsys.readouterr().err


def test_a_changed_mean_makes_other_shards(graph, tmp_path, capsys):
    options = ["--list", graph / "all.txt", "-o", tmp_path / "o", "--shard", 10, "--mean_file", tmp_path / "mean.npy"]
    np.save(tmp_path / "mean.npy", np.full((3, 20, 20), 90, np.float32))
    assert _run(graph, *options) == 0
    np.save(tmp_path / "mean.npy", np.full((3, 20, 20), 91, np.float32))
    assert _run(graph, *options) != 0
    assert "which is of another list, other settings" in capsys.readouterr().err


def test_a_run_continues_that_compiled_its_net_at_first(graph, tmp_path, monkeypatch, capsys):
    from agegender.zoo import compile

    def compile_here(names, folder, say):
        for path in graph.glob("AgeNet*"):
            if not os.path.exists(os.path.join(folder, path.name)):
                shutil.copy(path, folder)
        return list(names)

    monkeypatch.setattr(compile, "ensure_compiled", compile_here)
    (tmp_path / "nets").mkdir()
    options = ["--list", graph / "all.txt", "-o", tmp_path / "o", "--shard", 10, "--model", "AgeNet"]
    assert _run(tmp_path / "nets", *options) == 0
    os.unlink(tmp_path / "o" / sorted(os.listdir(tmp_path / "o"))[1])
    capsys.readouterr()
    assert _run(tmp_path / "nets", *options) == 0
    assert "in 3 shards of 10; 2 are done" in capsys.readouterr().err


def test_two_processes_give_the_same_rows_when_one_is_killed(graph, expected, tmp_path, monkeypatch):
    """The first process that opens the nets is killed; its shards run again."""
    from multiprocessing import process

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of the processes
    killed = []

    def kill_one():
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for child in process.active_children():
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill_one)
    thread.start()
    assert _run(graph, "--list", graph / "all.txt", "-o", tmp_path, "--shard", 5, "--workers", 2) == 0
    thread.join()
    assert killed and _rows(tmp_path) == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="multiprocessing adds the current directory to the path")
def test_processes_run_no_module_of_the_current_directory(graph, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    for name in ("types", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w').close()\nraise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert _run(graph, "--list", graph / "all.txt", "-o", tmp_path / "out", "--shard", 5, "--workers", 2) == 0
    assert _rows(tmp_path / "out") == expected and not (tmp_path / "RAN").exists()


def test_processes_that_always_die_end_the_run(graph, tmp_path):
    images = shards.Images(names=["a", "b"])
    results = engine.in_processes(1, _dies, {}, images, "jsonl")
    with pytest.raises(AgeGenderError, match="ended 3 times"):
        list(results(images.shards(1, {})))


def _dies(settings):
    os._exit(1)


def test_addresses_are_read_through_fsspec(graph, expected, tmp_path, capsys):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    memory = fsspec.filesystem("memory")
    for number in (2, 3):
        memory.pipe(f"/faces/{number}.png", (graph / f"{number}.png").read_bytes())
    assert _run(graph, "--image_path", "memory://faces", "-o", tmp_path / "out") == 0
    found = _rows(tmp_path / "out")
    assert [row["image"] for row in found] == ["memory://faces/2.png", "memory://faces/3.png"]
    assert [{**row, "image": ""} for row in found] == [{**row, "image": ""} for row in expected[2:4]]
    assert _run(graph, "--image_path", "memory://nothing", "-o", tmp_path / "out") == 3
    assert _run(graph, "--image_path", "nonsense://x", "-o", tmp_path / "out") == 1
    assert "nonsense" in capsys.readouterr().err


def test_detection_gives_a_row_per_face_and_one_for_none(graph, tmp_path):
    assert _run(graph, "--list", graph / "all.txt", "-o", tmp_path, "--detect") == 0
    found = _rows(tmp_path)
    assert len(found) == COUNT and "error" in found[4]
    assert found[0] == {"image": str(graph / "0.png")}  # noise: no face


def test_dry_run_plans_in_bounded_memory(graph, tmp_path, capsys):
    """Shards are offsets into the list; the list itself is not held."""
    import tracemalloc

    path = tmp_path / "list.txt"
    with open(path, "w") as stream:
        stream.write((str(graph / "0.png") + "\n") * 50_000)
    tracemalloc.start()
    plan = shards.Images(list_path=str(path)).shards(1000, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(plan) == 50 and sum(shard.count for shard in plan) == 50_000 and peak < 500_000
    assert _run(graph, "--list", path, "-o", tmp_path / "out", "--shard", 1000, "--dry-run") == 0
    printed = capsys.readouterr()
    assert "50000 images in 50 shards of 1000; 0 are done" in printed.err
    assert "ms per image" in printed.out and "MB" in printed.out and not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [1, 4, 23, 100])
def test_shards_cover_the_list_in_order(graph, size):
    images = shards.Images(list_path=str(graph / "all.txt"))
    plan = images.shards(size, {"net": "a"})
    names = [name for shard in plan for name in images.of(shard)]
    assert names == (graph / "all.txt").read_text().split()
    in_memory = shards.Images(names=names)
    assert [shard.name("x") for shard in in_memory.shards(size, {"net": "a"})] == [shard.name("x") for shard in plan]
    assert [shard.digest for shard in images.shards(size, {"net": "b"})] != [shard.digest for shard in plan]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_both_formats_keep_the_values(kind, tmp_path):
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    values = {"n": "20-29", "n_probability": 0.5, "n_years": 24.0, "n_probabilities": [0.5, 0.25]}
    table = [{"image": "a", **values}, {"image": "b", "error": "broken"}]
    (tmp_path / f"x.{kind}").write_bytes(rows.encode(table, ["n"], False, kind))
    assert rows.read(str(tmp_path / f"x.{kind}")) == table


@pytest.mark.parametrize(
    "options",
    [
        ["--list", "x"],
        ["-o", "y"],
        ["-o", "y", "--list", "x", "--image_path", "z"],
        [],
        ["-o", "y", "--shard", "0", "--list", "x"],
    ],
)
def test_contradicting_options(graph, options):
    assert _run(graph, *options) == 2


def test_ray_gives_the_same_rows(graph, expected, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="ray is not installed (extra `ray`)")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    command = ["--list", graph / "all.txt", "-o", tmp_path, "--shard", 5, "--ray", "local", "--workers", 1]
    assert _run(graph, *command) == 0
    assert _rows(tmp_path) == expected


def test_ray_that_is_not_installed_is_an_error(graph, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert _run(graph, "--list", graph / "all.txt", "-o", tmp_path, "--ray", "auto") == 1
    assert "--ray needs Ray: pip install 'caffe2ncs[ray]'" in capsys.readouterr().err


def test_a_process_that_dies_while_another_starts_is_a_broken_pool():
    """The standard library reports closed pipes as ValueError or OSError."""
    from concurrent.futures.process import BrokenProcessPool

    from agegender.bulk import engine

    class Pool:
        def submit(self, *_):
            raise ValueError("bad value(s) in fds_to_keep")

    with pytest.raises(BrokenProcessPool, match="fds_to_keep"):
        engine._submit(Pool(), [], "jsonl")
