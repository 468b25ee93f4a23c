"""Nets that answer as one: the mean of what each says by itself."""

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
    """A folder of 40 drawn faces."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(40):
        cv2.imwrite(
            str(folder / ("%d_%d_2_201701010000000%02d.jpg" % (11 * i % 90, i % 2, i))),
            draw(11 * i % 90, i % 2 == 0, i),
        )
    return folder


@pytest.fixture(scope="module")
def runs(faces, tmp_path_factory):
    """Two finished runs of one split."""
    made = [
        Run(recipe, faces, (2,), 3, iterations=3, folder=tmp_path_factory.mktemp("run") / "run") for recipe in SMALL
    ]
    for run in made:
        run.run()
    return made


def told(run, task, folder):
    """(labels (N, 3), probabilities) of a run's net, asked through pycaffe a picture at a time."""
    net = next(net for net in zoo.resolve(run.recipe.net) if net.task == task)
    (folder / "deploy.prototxt").write_text(text.format(assemble.deploy_param(net)))
    built = caffe.Net(str(folder / "deploy.prototxt"), os.path.join(run.folder, run.weights), caffe.TEST)
    labels, answers = [], []
    with open_db(os.path.join(run.folder, "test_lmdb")) as database:
        for _, value in database:
            planes, found = datum.decode_labels(value, 3)
            mean = np.array([104.298, 117.001, 122.782]).reshape(3, 1, 1)
            built.blobs["data"].data[...] = (planes[:, 2:114, 2:114] - mean) / 64
            answers.append(built.forward()["prob"][0].copy())
            labels.append(found)
    return np.array(labels), np.array(answers)


def test_the_mean_of_two_nets_is_judged(runs, tmp_path):
    found = ensemble.summary(runs)
    labels, first = told(runs[0], "gender", tmp_path)
    _, second = told(runs[1], "gender", tmp_path)
    assert found["faces"] == len(labels) == 8
    assert found["gender"]["plain"]["accuracy"] == np.mean((first + second).argmax(1) == labels[:, 1])
    labels, first = told(runs[0], "age", tmp_path)
    _, second = told(runs[1], "age", tmp_path)
    years = (first + second) / 2 @ np.arange(101)
    assert found["age"]["plain"]["error_years"] == pytest.approx(np.abs(years - labels[:, 2]).mean(), abs=1e-4)
    assert set(found["age"]) == {"plain", "flip", "fp16"}


def test_one_net_alone_is_itself(runs):
    summary = runs[0].run()
    alone = ensemble.summary(runs[:1])
    assert {view: alone["age"][view] for view in alone["age"]} == {view: summary["age"][view] for view in alone["age"]}


def test_a_report_keeps_every_probability(runs, tmp_path):
    _, wanted = told(runs[1], "age", tmp_path)
    found = evaluate.read_probabilities(os.path.join(runs[1].folder, "report"), "age")
    assert list(found) == ["plain", "flip", "fp16"]
    np.testing.assert_allclose(found["plain"], wanted, atol=1e-5)


def test_nets_that_cannot_be_compared_are_refused(runs, faces, tmp_path):
    other = Run(SMALL[0], faces, (2,), 4, iterations=1, folder=tmp_path / "run")
    other.run()
    with pytest.raises(AgeGenderError, match="were evaluated on different faces"):
        ensemble.summary([runs[0], other])
    half = Run(
        dataclasses.replace(SMALL[1], targets={"age": Target()}), faces, (2,), 3, iterations=1, folder=runs[1].folder
    )
    with pytest.raises(AgeGenderError, match="does not predict gender"):
        ensemble.summary([runs[0], half])


def test_an_experiment_has_a_row_for_it(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["experiment", "compact:2", "compact-wide", "--faces", str(faces), "--iterations", "1", "--ensemble"]
    assert main(command) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ensemble | 1 |")]
    assert len(rows) == 3 and all(row.count("%") == 3 for row in rows)
    for name, iterations in (("compact", 2), ("compact-wide", 1)):
        assert read_solver(tmp_path / "models" / name / "seed230/solver.prototxt").param.max_iter == iterations


@pytest.mark.parametrize("text", ["compact:", "compact:0", "compact:-1", "compact:x", "compact:1.5"])
def test_iterations_of_one_recipe_are_a_number(text, capsys):
    assert main(["experiment", text]) == 1
    assert "expected RECIPE or RECIPE:N" in capsys.readouterr().err
