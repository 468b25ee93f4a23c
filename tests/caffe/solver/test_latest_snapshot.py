"""The newest snapshot is the highest iteration of the last run, even if modification times are meaningless."""

import os

import pytest

from caffe.solver.latest_snapshot import newest

SECOND = 10**9


@pytest.fixture
def write(tmp_path):
    """Return a function that writes snapshots: {iteration: modification time in s}."""

    def make(times):
        for iteration, seconds in times.items():
            path = tmp_path / f"s_iter_{iteration}.solverstate"
            path.write_text("x")
            os.utime(path, ns=(0, int((1000 + seconds) * SECOND)))

    return make


def found(tmp_path):
    path = newest(str(tmp_path / "s"), "solverstate")
    return path and os.path.basename(path)


@pytest.mark.parametrize(
    "times, iteration",
    [
        ({8: 0, 16: 100, 40: 200}, 40),  # a run
        ({24: 0, 40: 100, 8: 500, 16: 600}, 16),  # a second run among snapshots of a first
        ({8: 0.9, 16: 0.1, 24: 0.5, 40: 0.2}, 40),  # a clone
        ({8: 5, 16: 1.2, 24: 4, 40: 2.5}, 40),  # a slow clone
        ({40: 0}, 40),
        ({900: 0, 1000: 0}, 1000),
    ],
)
def test_modification_times(write, tmp_path, times, iteration):
    write(times)
    assert found(tmp_path) == f"s_iter_{iteration}.solverstate"


def log(tmp_path, iterations, seconds):
    path = tmp_path / "s.log"
    path.write_text(
        "".join(f"I solver.cpp:1] Snapshotting to binary proto file s_iter_{n}.caffemodel\n" for n in iterations)
    )
    os.utime(path, ns=(0, (1000 + seconds) * SECOND))


def test_log_of_the_last_run(write, tmp_path):
    write({24: 0, 40: 0.5, 8: 1, 16: 1.5})
    log(tmp_path, [8, 16], 2)
    assert found(tmp_path) == "s_iter_16.solverstate"


def test_log_older_than_the_snapshots_is_ignored(write, tmp_path):
    write({24: 500, 40: 600})
    log(tmp_path, [24], 2)
    assert found(tmp_path) == "s_iter_40.solverstate"


def test_choice_is_logged(write, tmp_path, capsys):
    write({8: 0, 40: 1})
    found(tmp_path)
    assert "s_iter_40.solverstate: iteration 40, of 2 snapshots from 8 to 40" in capsys.readouterr().err


def test_no_snapshot(tmp_path):
    assert found(tmp_path) is None
