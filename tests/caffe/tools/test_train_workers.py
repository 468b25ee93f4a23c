"""`caffe train --workers 2` and torchrun: the command line, signals, killed processes."""

import argparse
import os
import signal
import subprocess
import sys
import time

import pytest
from support.small_solvers import database, dropout_net, solver_text

from caffe.errors import CaffeError
from caffe.tools import train

PATIENCE = 60  # seconds


def _prepare(folder, iterations, snapshot=5):
    folder.mkdir()
    database(folder / "db", 23)
    (folder / "net.prototxt").write_text(dropout_net(folder / "db"))
    text = solver_text(folder, snapshot=snapshot, max_iter=iterations).replace("max_iter: 100 ", "")
    (folder / "solver.prototxt").write_text(text)


def _start(folder, *command):
    return subprocess.Popen(
        [sys.executable, *command, "--solver", str(folder / "solver.prototxt"), "--resume"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def _wait_for(path, child):
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _finish(child):
    """Return what `child` printed; end it if it does not end by itself."""
    try:
        return child.communicate(timeout=2 * PATIENCE)[1]
    except subprocess.TimeoutExpired:
        for pid in [*_children(child.pid), child.pid]:
            os.kill(pid, signal.SIGKILL)
        return child.communicate()[1]


def _children(child):
    """Return the process ids of the children of `child`, and theirs."""
    with open(f"/proc/{child}/task/{child}/children") as stream:
        own = [int(word) for word in stream.read().split()]
    return own + [grandchild for one in own for grandchild in _children(one)]


def _rank(pid):
    with open(f"/proc/{pid}/environ", "rb") as stream:
        return dict(entry.partition(b"=")[::2] for entry in stream.read().split(b"\0")).get(b"RANK")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_sigterm_to_one_worker_stops_all_and_the_run_continues(tmp_path):
    _prepare(tmp_path / "run", 100000)
    child = _start(tmp_path / "run", "-m", "caffe", "train", "--workers", "2")
    _wait_for(tmp_path / "run" / "s_iter_5.solverstate", child)
    (second,) = [pid for pid in _children(child.pid) if _rank(pid) == b"1"]
    os.kill(second, signal.SIGTERM)
    errors = _finish(child)
    assert child.returncode == 130, errors
    assert "Optimization stopped early." in errors and "Traceback" not in errors
    logged = (tmp_path / "run" / "s.rank1.log").read_text()
    last = int(logged.rsplit("Iteration ", 1)[1].split()[0].strip(","))
    assert f"s_iter_{last + 1}.caffemodel" in errors  # both stopped after the same iteration


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_torchrun_restarts_after_a_killed_worker(tmp_path):
    """The restarted processes resume at the last snapshot; test_distributed.py shows that this is bit-equal."""
    _prepare(tmp_path / "run", 60, snapshot=20)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    child = _start(tmp_path / "run", *torchrun, "--monitor-interval", "0.1", "-m", "caffe", "train")
    _wait_for(tmp_path / "run" / "s_iter_20.solverstate", child)
    (second,) = [pid for pid in _children(child.pid) if _rank(pid) == b"1"]
    os.kill(second, signal.SIGKILL)
    errors = _finish(child)
    assert child.returncode == 0, errors
    assert "another process of this training has ended" in errors
    assert "Restoring previous solver status from" in errors and "Iteration 60, loss = " in errors
    assert (tmp_path / "run" / "s_iter_60.solverstate").exists()


def _parse(*argv):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(["--solver=s.prototxt", *argv])


def test_number_of_processes(monkeypatch):
    assert train.processes(_parse()) == 1
    assert train.processes(_parse("--workers", "3")) == 3
    assert train.processes(_parse("--gpu", "0,2")) == 2
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert train.processes(_parse("--workers", "3")) == 1  # this is one of four already


@pytest.mark.parametrize(
    "argv, message", [(["--workers", "0"], "at least 1, received 0"), (["--workers", "2", "--gpu", "0"], "not both")]
)
def test_invalid_number_of_processes_raises(argv, message):
    with pytest.raises(CaffeError, match=message):
        train.processes(_parse(*argv))


def test_invalid_environment_raises(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(CaffeError, match="RANK is 2, but WORLD_SIZE is 2"):
        train.processes(_parse())
    monkeypatch.setenv("RANK", "x")
    with pytest.raises(CaffeError, match="RANK: expected a number, received 'x'"):
        train.processes(_parse())


def test_workers_get_the_flags_of_the_command(monkeypatch):
    started = []
    monkeypatch.setattr(train.local_processes, "run", lambda argv, count: started.append((argv, count)) or 0)
    assert train.run(_parse("--workers", "2", "--max_iter", "9", "--resume", "--batch", "shared")) == 0
    (argv, count) = started[0]
    assert count == 2 and argv[:3] == ["-m", "caffe", "train"]
    again = _parse(*argv[3:])
    assert again == _parse("--max_iter", "9", "--resume", "--batch", "shared")
