"""Two processes cannot train with the same snapshot_prefix, from the command or from Python; one process can."""

import contextlib
import gc
import os
import signal
import subprocess
import sys

import pytest

import caffe
from caffe.errors import CaffeError
from caffe.solver import prefix_lock, run_log

NET = """layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "i" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 3 } }
layer { name: "l" type: "EuclideanLoss" bottom: "y" bottom: "t" }"""

HOLD = """import sys
from caffe.solver import prefix_lock
prefix_lock.hold(sys.argv[1])
print(1, flush=True)
input()"""


@contextlib.contextmanager
def other_process(prefix):
    """Another process that holds the prefix."""
    command = [sys.executable, "-c", HOLD, prefix]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "1\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def solver_file(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "solver.prototxt"
    path.write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2 snapshot_prefix: "{tmp_path}/s"'
    )
    return str(path)


def snapshots(folder):
    return sorted(name for name in os.listdir(folder) if name.startswith(("s_iter", ".s")))


@pytest.mark.parametrize("call", ["solve", "snapshot"])
def test_a_solver_in_python_is_refused(tmp_path, solver_file, call):
    solver = caffe.get_solver(solver_file)
    with other_process(str(tmp_path / "s")) as process:
        with pytest.raises(CaffeError, match=rf"another training \(process {process.pid}\) writes the snapshots of"):
            getattr(solver, call)()
        assert snapshots(tmp_path) == [".s.lock"]
    getattr(solver, call)()  # the lock of a killed process is free
    assert len(snapshots(tmp_path)) >= 3


def test_the_lock_ends_with_the_training_or_with_the_solver(tmp_path, solver_file):
    solver = caffe.get_solver(solver_file)
    solver.solve()
    assert ".s.lock" not in snapshots(tmp_path)
    solver.snapshot()
    assert ".s.lock" in snapshots(tmp_path)
    del solver
    gc.collect()
    assert ".s.lock" not in snapshots(tmp_path)


def test_solvers_of_one_process_share_a_prefix(tmp_path, solver_file):
    first, second = caffe.get_solver(solver_file), caffe.get_solver(solver_file)
    with run_log.kept(str(tmp_path / "s"), append=False):
        first.snapshot()
        second.solve()
    assert len(snapshots(tmp_path)) >= 3


def test_a_training_without_snapshots_takes_no_lock(tmp_path, solver_file):
    with open(solver_file, "a") as stream:
        stream.write(" snapshot_after_train: false")
    with other_process(str(tmp_path / "s")):
        caffe.get_solver(solver_file).solve()
    assert snapshots(tmp_path) == [".s.lock"]


def test_other_prefixes_and_names_of_the_same_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with other_process(str(tmp_path / "s")):
        prefix_lock.hold(str(tmp_path / "other"))()
        with pytest.raises(CaffeError, match="another training"):
            prefix_lock.hold(str(tmp_path / "link" / "s"))
    prefix_lock.hold(str(tmp_path / "missing" / "s"))()  # nothing to lock: writing a snapshot says what is wrong


def test_a_forked_child_does_not_release_the_lock(tmp_path):
    release = prefix_lock.hold(str(tmp_path / "s"))
    child = os.fork()
    if not child:
        release()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.listdir(tmp_path) == [".s.lock"]
    release()
    assert os.listdir(tmp_path) == []
