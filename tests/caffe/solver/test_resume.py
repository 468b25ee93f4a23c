"""A run that is stopped and resumed ends bit for bit where an undisturbed run ends: dropout, crops and records included."""

import os

import numpy as np
import pytest
from support.small_solvers import database, dropout_net, solver_text

from caffe.errors import CaffeError
from caffe.solver import resume
from caffe.tools import train


def _run(tmp_path, name, iterations, resume=False, extra=()):
    import argparse

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    argv = ["--solver", str(tmp_path / name / "solver.prototxt"), "--iterations", str(iterations), *extra]
    return train.run(parser.parse_args(argv + (["--resume"] if resume else [])))


def _weights(tmp_path, name, iteration):
    from caffe.weights.snapshot import read_weights

    path = tmp_path / name / ("s_iter_%d.caffemodel" % iteration)
    return {layer: [np.array(a) for a in arrays] for layer, arrays in read_weights(str(path)).items()}


def _prepare(tmp_path, name, **settings):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "net.prototxt").write_text(dropout_net(tmp_path / "db"))
    (folder / "solver.prototxt").write_text(solver_text(folder, **settings))


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_stopped_and_resumed_equals_undisturbed(tmp_path, kind):
    database(tmp_path / "db", 23)
    for name in ("whole", "halves"):
        _prepare(tmp_path, name, type=kind, snapshot=4)
    assert _run(tmp_path, "whole", 12) == 0
    assert _run(tmp_path, "halves", 7) == 0
    assert _run(tmp_path, "halves", 12, resume=True) == 0
    whole, halves = (_weights(tmp_path, name, 12) for name in ("whole", "halves"))
    for layer, arrays in whole.items():
        for mine, theirs in zip(arrays, halves[layer]):
            assert np.array_equal(mine, theirs), layer


def test_without_the_resume_file_data_start_again_as_in_caffe(tmp_path):
    database(tmp_path / "db", 23)
    for name in ("whole", "halves"):
        _prepare(tmp_path, name, snapshot=4)
    _run(tmp_path, "whole", 12)
    _run(tmp_path, "halves", 8)
    os.unlink(tmp_path / "halves" / "s_iter_8.resume.npz")
    _run(tmp_path, "halves", 12, resume=True)
    assert not np.array_equal(_weights(tmp_path, "whole", 12)["ip"][0], _weights(tmp_path, "halves", 12)["ip"][0])


def test_a_caffemodel_given_as_snapshot_is_explained(tmp_path):
    database(tmp_path / "db", 23)
    _prepare(tmp_path, "whole", snapshot=4)
    _run(tmp_path, "whole", 4)
    model = str(tmp_path / "whole" / "s_iter_4.caffemodel")
    with pytest.raises(CaffeError, match="weights only.*s_iter_4.solverstate.*--weights"):
        _run(tmp_path, "whole", 8, extra=["--snapshot", model])


def test_log_and_curves_stand_beside_the_snapshots(tmp_path):
    database(tmp_path / "db", 23)
    _prepare(tmp_path, "whole", snapshot=4, test=True)
    _run(tmp_path, "whole", 8)
    log = (tmp_path / "whole" / "s.log").read_text()
    assert (
        "Iteration 4, Testing net (#0)" in log and "Train net output #0: loss = " in log and "Optimization Done." in log
    )
    assert (tmp_path / "whole" / "s_curves.png").stat().st_size > 5000


def test_the_loss_scale_of_a_resumed_run_is_written_as_it_was(tmp_path):
    """[65536.0, 0] came back as [65536.0, 0.0]: equal values, other bytes."""
    told = {"losses": [1.5], "loss_scale": [65536.0, 0.0]}
    resume.save(str(tmp_path / "a.npz"), {}, told)
    again = resume.load(str(tmp_path / "a.npz"), {})
    resume.save(str(tmp_path / "b.npz"), {}, again)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
