"""Ensembles: the mean of the probabilities of several nets."""

import dataclasses
import os

import cv2
import numpy as np
import pytest
import torch

import caffe
from agegender import recipes, zoo
from agegender.cli import main
from agegender.errors import AgeGenderError
from agegender.evaluate import ensemble, evaluate
from agegender.recipes.recipe import Target
from agegender.synthetic_faces import draw
from agegender.training.run import Run
from agegender.zoo import assemble
from caffe.data import datum
from caffe.data.db import open_db
from caffe.proto import text
from caffe.proto.read import read_solver

torch.set_num_threads(1)
SMALL = [dataclasses.replace(recipes.resolve(name), batch=4) for name in ("compact", "compact-wide")]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A directory of 40 synthetic faces."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(40):
        cv2.imwrite(
            str(folder / f"{11 * i % 90}_{i % 2}_2_201701010000000{i:02d}.jpg"),
            draw(11 * i % 90, i % 2 == 0, i),
        )
    return folder


@pytest.fixture(scope="module")
def runs(faces, tmp_path_factory):
    """Two finished runs with the same split."""
    results = [
        Run(recipe, faces, (2,), 3, iterations=3, folder=tmp_path_factory.mktemp("run") / "run") for recipe in SMALL
    ]
    for run in results:
        run.run()
    return results


def predict(run, task, folder):
    """(labels (N, 3), probabilities) of a run's net, through pycaffe one image at a time."""
    net = next(net for net in zoo.resolve(run.recipe.net) if net.task == task)
    (folder / "deploy.prototxt").write_text(text.format(assemble.deploy_param(net)))
    built = caffe.Net(str(folder / "deploy.prototxt"), os.path.join(run.folder, run.weights), caffe.TEST)
    labels, probabilities = [], []
    with open_db(os.path.join(run.folder, "test_lmdb")) as database:
        for _, value in database:
            planes, record_labels = datum.decode_labels(value, 3)
            mean = np.array([104.298, 117.001, 122.782]).reshape(3, 1, 1)
            built.blobs["data"].data[...] = (planes[:, 2:114, 2:114] - mean) / 64
            probabilities.append(built.forward()["prob"][0].copy())
            labels.append(record_labels)
    return np.array(labels), np.array(probabilities)


def test_the_mean_of_two_nets_is_evaluated(runs, tmp_path):
    summary = ensemble.summary(runs)
    labels, first = predict(runs[0], "gender", tmp_path)
    _, second = predict(runs[1], "gender", tmp_path)
    assert summary["faces"] == len(labels) == 8
    assert summary["gender"]["plain"]["accuracy"] == np.mean((first + second).argmax(1) == labels[:, 1])
    labels, first = predict(runs[0], "age", tmp_path)
    _, second = predict(runs[1], "age", tmp_path)
    years = (first + second) / 2 @ np.arange(101)
    assert summary["age"]["plain"]["error_years"] == pytest.approx(np.abs(years - labels[:, 2]).mean(), abs=1e-4)
    assert set(summary["age"]) == {"plain", "flip", "fp16"}


def test_an_ensemble_of_one_net_is_that_net(runs):
    summary = runs[0].run()
    alone = ensemble.summary(runs[:1])
    assert {view: alone["age"][view] for view in alone["age"]} == {view: summary["age"][view] for view in alone["age"]}


def test_a_report_stores_every_probability(runs, tmp_path):
    _, expected = predict(runs[1], "age", tmp_path)
    stored = evaluate.read_probabilities(os.path.join(runs[1].folder, "report"), "age")
    assert list(stored) == ["plain", "flip", "fp16"]
    np.testing.assert_allclose(stored["plain"], expected, atol=1e-5)


def test_incompatible_runs_are_rejected(runs, faces, tmp_path):
    other = Run(SMALL[0], faces, (2,), 4, iterations=1, folder=tmp_path / "run")
    other.run()
    with pytest.raises(AgeGenderError, match="were evaluated on different faces"):
        ensemble.summary([runs[0], other])
    age_only = Run(
        dataclasses.replace(SMALL[1], targets={"age": Target()}), faces, (2,), 3, iterations=1, folder=runs[1].folder
    )
    with pytest.raises(AgeGenderError, match="does not predict gender"):
        ensemble.summary([runs[0], age_only])


def test_an_experiment_has_a_row_for_the_ensemble(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["experiment", "compact:2", "compact-wide", "--faces", str(faces), "--iterations", "1", "--ensemble"]
    assert main(command) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ensemble | 1 |")]
    assert len(rows) == 3 and all(row.count("%") == 3 for row in rows)
    for name, iterations in (("compact", 2), ("compact-wide", 1)):
        assert read_solver(tmp_path / "models" / name / "seed230/solver.prototxt").param.max_iter == iterations


@pytest.mark.parametrize("text", ["compact:", "compact:0", "compact:-1", "compact:x", "compact:1.5"])
def test_iterations_of_a_recipe_must_be_a_positive_integer(text, capsys):
    assert main(["experiment", text]) == 1
    assert "expected RECIPE or RECIPE:N" in capsys.readouterr().err
