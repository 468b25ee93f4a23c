"""The cross-validation on drawn faces with small nets: one command, resumed where it stopped, figures by plain counting."""

import json
import math

import numpy as np
import pytest
import torch
from support import synthetic_adience

from agegender import cli
from agegender.crossval.net import FoldNet
from agegender.datasets import adience
from agegender.errors import AgeGenderError
from agegender.evaluate import folds
from caffe.device.transform import Transform

torch.set_num_threads(1)

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 227 mirror: true mean_file: "elsewhere" } data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 227 mean_file: "elsewhere" } data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 20 stride: 20 } }
layer { name: "fc8" type: "InnerProduct" bottom: "pool" top: "fc8"
  inner_product_param { num_output: %d weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""
SOLVER = """net: "elsewhere" test_iter: 1000 test_interval: 1000 base_lr: 0.00001 lr_policy: "fixed" momentum: 0.9 display: 0
max_iter: 40 snapshot: 1000 snapshot_prefix: "elsewhere" random_seed: 3 solver_mode: CPU"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """(folder with pictures, fold files and nets, rows)."""
    folder = tmp_path_factory.mktemp("adience")
    rows = synthetic_adience.make(folder)
    (folder / "nets").mkdir()
    for name, classes in (("AgeNet", 8), ("GenderNet", 2)):
        (folder / "nets" / (name + "_train_val.prototxt")).write_text(NET % classes)
        (folder / "nets" / (name + "_solver.prototxt")).write_text(SOLVER)
    return folder, rows


def command(twin, where, action="crossval", *more):
    folder, _ = twin
    options = {"--folds": folder / "folds", "--images": folder / "aligned", "--prototxt": folder / "nets",
               "--data": where / "data", "--models": where / "models", "--iterations": 3, "--threads": 1}  # fmt: skip
    return ["adience", action, *(str(word) for pair in options.items() for word in pair), *more]


@pytest.fixture(scope="module")
def whole(twin, tmp_path_factory):
    """(folder of a run of all five folds, what it printed)."""
    import contextlib
    import io

    where, printed = tmp_path_factory.mktemp("run"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(where)
        assert cli.main(command(twin, where)) == 0
    return where, printed.getvalue()


def matrices(where, task):
    """{fold: {way: matrix}} that a run stored."""
    return {int(fold): ways for fold, ways in json.loads((where / "models" / "results.json").read_text())[task].items()}


def test_every_face_of_a_fold_is_judged_once(whole, twin):
    where, printed = whole
    assert "75 rows, 15 of them repeat an earlier row" in printed and "15 Flickr users" in printed
    for task, labelled in (("age", 9), ("gender", 12)):
        for fold, ways in matrices(where, task).items():
            truth = [
                row for row in adience.unique(twin[1]) if row.fold == fold and adience.CLASS[task](row) is not None
            ]
            counts = np.bincount([int(adience.CLASS[task](row)) for row in truth], minlength=8 if task == "age" else 2)
            for way in folds.CROPS:
                assert np.sum(ways[way], 1).tolist() == counts.tolist() and np.sum(ways[way]) == labelled


def test_the_table_is_plain_counting_beside_the_paper(whole):
    where, printed = whole
    lines = printed.splitlines()
    found = matrices(where, "age")
    exact = [100 * np.trace(ways["single"]) / np.sum(ways["single"]) for ways in found.values()]
    beside = [(i, j) for i in range(8) for j in range(8) if abs(i - j) < 2]
    near = [100 * sum(ways["oversample"][i][j] for i, j in beside) / 9 for ways in found.values()]
    mean = [line for line in lines if line.startswith("mean of 5 folds")][0].split()
    deviation = [math.sqrt(sum((v - np.mean(values)) ** 2 for v in values) / 5) for values in (exact, near)]
    assert mean[4:7] == [f"{np.mean(exact):.1f}", "+-", f"{deviation[0]:.1f}"]
    assert mean[13:16] == [f"{np.mean(near):.1f}", "+-", f"{deviation[1]:.1f}"]
    paper = [" ".join(line.split()[4:]) for line in lines if line.startswith("Levi & Hassner 2015")]
    assert paper == ["49.5 +- 4.4 84.6 +- 1.7 50.7 +- 5.1 84.7 +- 2.2", "85.9 +- 1.4 86.8 +- 1.4"]
    assert (where / "models" / "table.txt").read_text() in printed and printed.count("Confusion matrix:") == 2


def test_what_stands_is_not_done_again(whole, twin, monkeypatch, capsys):
    where, printed = whole
    monkeypatch.chdir(where)
    before = {path: path.stat().st_mtime_ns for path in where.rglob("*.caffemodel")}
    assert len(before) == 10
    assert cli.main(command(twin, where)) == 0
    said = capsys.readouterr().out
    assert said.count(": up to date") == 10 and said[said.index("\nage ") :] == printed[printed.index("\nage ") :]
    assert {path: path.stat().st_mtime_ns for path in where.rglob("*.caffemodel")} == before
    assert cli.main(command(twin, where, "table")) == 0
    assert capsys.readouterr().out == said[said.index("\nage ") :]
    assert cli.main(command(twin, where, "table", "--iterations", "4")) == 1
    assert "no fold has been measured with these options" in capsys.readouterr().err


def test_a_run_that_was_cut_off_goes_on_and_ends_the_same(whole, twin, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    evaluate, calls = FoldNet.evaluate, []

    def once_too_often(self):
        calls.append((self.fold, self.task))
        if len(calls) == 4:
            raise KeyboardInterrupt
        evaluate(self)

    monkeypatch.setattr(FoldNet, "evaluate", once_too_often)
    assert cli.main(command(twin, tmp_path)) == 130
    assert cli.main(command(twin, tmp_path, "crossval", "--tidy")) == 0
    assert calls[3] == calls[4] == (1, "gender") and len(calls) == 11
    for task in ("age", "gender"):
        assert matrices(tmp_path, task) == matrices(whole[0], task)
    assert "up to date" in capsys.readouterr().out
    assert not list((tmp_path / "data" / "lmdb").iterdir())  # tidied away


def test_the_written_nets_are_the_given_ones_with_the_folds_paths(whole):
    from caffe.proto.read import read_net, read_solver

    where, _ = whole
    folder = where / "models" / "test_fold_is_3" / "AgeNet"
    data = [layer for layer in read_net(folder / "train_val.prototxt").param.layer if layer.type == "Data"]
    assert [layer.data_param.source for layer in data] == [
        str(where / "data" / "lmdb" / "Test_fold_is_3" / (f"age_{part}_lmdb")) for part in ("train", "val")
    ]
    solver = read_solver(folder / "solver.prototxt").param
    lines = (where / "data" / "lists" / "test_fold_is_3" / "age_val.txt").read_text().count("\n")
    assert (solver.max_iter, solver.test_iter[0]) == (3, math.ceil(lines / 4))
    assert solver.snapshot_prefix == str(folder / "caffenet_train")


def test_ten_crops_are_those_of_pycaffes_classifier(tmp_path):
    """Single crop and over-sampling by caffe.Classifier, on a net whose answers depend on the place."""
    import caffe
    from caffe.data import datum
    from caffe.data.db import create_db

    text = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
      inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.004 } } }
    layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }"""
    (tmp_path / "net.prototxt").write_text(text)
    caffe.set_random_seed(2)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "net.caffemodel"))
    mean = np.array([90, 100, 110], np.float32)
    classifier = caffe.Classifier(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"), image_dims=(12, 12),
                                  mean=mean, raw_scale=255, channel_swap=(2, 1, 0))  # fmt: skip
    rng, told = np.random.default_rng(1), {way: np.zeros((3, 3), int) for way in folds.CROPS}
    with create_db(str(tmp_path / "db")) as writer:
        for i in range(17):
            picture, label = rng.integers(0, 256, (12, 12, 3), np.uint8), i % 3
            writer.put(b"%08d" % i, datum.encode(np.ascontiguousarray(picture.transpose(2, 0, 1)), label))
            for way in folds.CROPS:
                rgb = picture[:, :, ::-1].astype(np.float32) / 255
                told[way][label, classifier.predict([rgb], way == "oversample")[0].argmax()] += 1
    from agegender.evaluate.predictions import net_predictor

    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(tmp_path / "net.caffemodel"))
    found = folds.evaluate(net_predictor(net), str(tmp_path / "db"), Transform(crop=9, mean=mean), 3)
    assert found == {way: matrix.tolist() for way, matrix in told.items()}
    assert found["single"] != found["oversample"]
    with pytest.raises(AgeGenderError, match="expected images larger than the crop \\(12\\), received 12x12"):
        folds.evaluate(net_predictor(net), str(tmp_path / "db"), Transform(crop=12, mean=mean), 3)


def test_lists_of_ones_own_are_taken(whole, twin, tmp_path, monkeypatch, capsys):
    where, _ = whole
    monkeypatch.chdir(tmp_path)
    lists = ["--lists", str(where / "data" / "lists"), "--test_fold", "2", "--task", "gender"]
    assert cli.main(command(twin, tmp_path, "crossval", *lists)) == 0
    assert matrices(tmp_path, "gender") == {2: matrices(where, "gender")[2]}
    assert "mean of 1 folds" in capsys.readouterr().out and not (tmp_path / "data" / "lists").exists()


def test_what_cannot_be_is_told(twin, tmp_path, monkeypatch, capsys):
    folder, rows = twin
    monkeypatch.chdir(tmp_path)
    for more, told in (
        (["--test_fold", "5"], "there are 0..4"),
        (["--images", "none"], "unpack Adience's aligned.tar.gz"),
        (["--prototxt", "none"], "AgeNet_train_val.prototxt: no such file"),
        (["--lists", "none"], "none of age_test.txt"),
        (["--archive", "faces", "--task", "age", "--test_fold", "0"], "none of its"),
        (["--iterations", "-1"], "must be positive"),
    ):
        assert cli.main(command(twin, tmp_path, "crossval", *more)) == 1
        assert told in capsys.readouterr().err
    gone = folder / "aligned" / next(row for row in rows if row.fold == 1).path()
    picture = gone.read_bytes()
    gone.unlink()
    try:
        assert cli.main(command(twin, tmp_path, "crossval", "--test_fold", "0", "--task", "gender")) == 1
        assert "1 images cannot be read" in capsys.readouterr().err
    finally:
        gone.write_bytes(picture)
