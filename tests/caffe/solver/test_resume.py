"""A resumed run equals an uninterrupted run bit for bit, including dropout, crops and record order."""

import os

import numpy as np
import pytest
from support.small_solvers import database, dropout_net, solver_text

from caffe.errors import CaffeError
from caffe.tools import train


def _run(tmp_path, name, iterations, resume=False, extra=()):
    import argparse

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    argv = ["--solver", str(tmp_path / name / "solver.prototxt"), "--max_iter", str(iterations), *extra]
    return train.run(parser.parse_args(argv + (["--resume"] if resume else [])))


def _weights(tmp_path, name, iteration):
    from caffe.weights.snapshot import read_weights

    path = tmp_path / name / f"s_iter_{iteration}.caffemodel"
    return {layer: [np.array(a) for a in arrays] for layer, arrays in read_weights(str(path)).items()}


def _prepare(tmp_path, name, **settings):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "net.prototxt").write_text(dropout_net(tmp_path / "db"))
    (folder / "solver.prototxt").write_text(solver_text(folder, **settings))


@pytest.mark.parametrize("solver_type", ["SGD", "Adam"])
def test_resumed_run_equals_uninterrupted_run(tmp_path, solver_type):
    database(tmp_path / "db", 23)
    for name in ("uninterrupted", "resumed"):
        _prepare(tmp_path, name, type=solver_type, snapshot=4)
    assert _run(tmp_path, "uninterrupted", 12) == 0
    assert _run(tmp_path, "resumed", 7) == 0
    assert _run(tmp_path, "resumed", 12, resume=True) == 0
    expected, actual = (_weights(tmp_path, name, 12) for name in ("uninterrupted", "resumed"))
    for layer, arrays in expected.items():
        for expected_array, array in zip(arrays, actual[layer]):
            assert np.array_equal(expected_array, array), layer


def test_without_resume_file_data_restart_as_in_caffe(tmp_path):
    database(tmp_path / "db", 23)
    for name in ("uninterrupted", "resumed"):
        _prepare(tmp_path, name, snapshot=4)
    _run(tmp_path, "uninterrupted", 12)
    _run(tmp_path, "resumed", 8)
    os.unlink(tmp_path / "resumed" / "s_iter_8.resume.npz")
    _run(tmp_path, "resumed", 12, resume=True)
    assert not np.array_equal(
        _weights(tmp_path, "uninterrupted", 12)["ip"][0], _weights(tmp_path, "resumed", 12)["ip"][0]
    )


def test_caffemodel_as_snapshot_raises_with_hint(tmp_path):
    database(tmp_path / "db", 23)
    _prepare(tmp_path, "uninterrupted", snapshot=4)
    _run(tmp_path, "uninterrupted", 4)
    model = str(tmp_path / "uninterrupted" / "s_iter_4.caffemodel")
    with pytest.raises(CaffeError, match="weights only.*s_iter_4.solverstate.*--weights"):
        _run(tmp_path, "uninterrupted", 8, extra=["--snapshot", model])


def test_log_and_curves_are_written_next_to_snapshots(tmp_path):
    database(tmp_path / "db", 23)
    _prepare(tmp_path, "uninterrupted", snapshot=4, test=True)
    _run(tmp_path, "uninterrupted", 8)
    log = (tmp_path / "uninterrupted" / "s.log").read_text()
    assert (
        "Iteration 4, Testing net (#0)" in log and "Train net output #0: loss = " in log and "Optimization Done." in log
    )
    assert (tmp_path / "uninterrupted" / "s_curves.png").stat().st_size > 5000
