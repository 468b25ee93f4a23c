"""The cross-validation on synthetic faces with small nets: one command, resumed after an interruption, exact counts."""

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
  transform_param { crop_size: 227 mirror: true mean_file: "elsewhere" }
  data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 227 mean_file: "elsewhere" } data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 20 stride: 20 } }
layer { name: "fc8" type: "InnerProduct" bottom: "pool" top: "fc8"
  inner_product_param { num_output: %d weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""
SOLVER = """net: "elsewhere" test_iter: 1000 test_interval: 1000 base_lr: 0.00001 lr_policy: "fixed" momentum: 0.9
display: 0 max_iter: 40 snapshot: 1000 snapshot_prefix: "elsewhere" random_seed: 3 solver_mode: CPU"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(directory of images, fold files and nets; rows)."""
    folder = tmp_path_factory.mktemp("adience")
    rows = synthetic_adience.make(folder)
    (folder / "nets").mkdir()
    for name, classes in (("AgeNet", 8), ("GenderNet", 2)):
        (folder / "nets" / (name + "_train_val.prototxt")).write_text(NET % classes)
        (folder / "nets" / (name + "_solver.prototxt")).write_text(SOLVER)
    return folder, rows


def command(data, where, action="crossval", *more):
    folder, _ = data
    options = {"--folds": folder / "folds", "--images": folder / "aligned", "--prototxt": folder / "nets",
               "--data": where / "data", "--models": where / "models", "--iterations": 3, "--threads": 1}  # fmt: skip
    return ["adience", action, *(str(word) for pair in options.items() for word in pair), *more]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """(directory of a run of all five folds, its output)."""
    import contextlib
    import io

    where, printed = tmp_path_factory.mktemp("run"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(where)
        assert cli.main(command(data, where)) == 0
    return where, printed.getvalue()


def matrices(where, task):
    """{fold: {crops: matrix}} of a run."""
    return {
        int(fold): by_crops
        for fold, by_crops in json.loads((where / "models" / "results.json").read_text())[task].items()
    }


def test_every_face_of_a_fold_is_evaluated_once(finished, data):
    where, printed = finished
    assert "75 rows, 15 of them repeat an earlier row" in printed and "15 Flickr users" in printed
    for task, labelled in (("age", 9), ("gender", 12)):
        for fold, by_crops in matrices(where, task).items():
            labelled_rows = [
                row for row in adience.unique(data[1]) if row.fold == fold and adience.CLASS[task](row) is not None
            ]
            counts = np.bincount(
                [int(adience.CLASS[task](row)) for row in labelled_rows], minlength=8 if task == "age" else 2
            )
            for crops in folds.CROPS:
                assert np.sum(by_crops[crops], 1).tolist() == counts.tolist() and np.sum(by_crops[crops]) == labelled


def test_the_table_has_exact_counts_and_the_papers_results(finished):
    where, printed = finished
    lines = printed.splitlines()
    evaluated = matrices(where, "age")
    exact = [100 * np.trace(by_crops["single"]) / np.sum(by_crops["single"]) for by_crops in evaluated.values()]
    one_off_cells = [(i, j) for i in range(8) for j in range(8) if abs(i - j) < 2]
    one_off = [100 * sum(by_crops["oversample"][i][j] for i, j in one_off_cells) / 9 for by_crops in evaluated.values()]
    mean = [line for line in lines if line.startswith("mean of 5 folds")][0].split()
    deviation = [math.sqrt(sum((v - np.mean(values)) ** 2 for v in values) / 5) for values in (exact, one_off)]
    assert mean[4:7] == [f"{np.mean(exact):.1f}", "+-", f"{deviation[0]:.1f}"]
    assert mean[13:16] == [f"{np.mean(one_off):.1f}", "+-", f"{deviation[1]:.1f}"]
    paper = [" ".join(line.split()[4:]) for line in lines if line.startswith("Levi & Hassner 2015")]
    assert paper == ["49.5 +- 4.4 84.6 +- 1.7 50.7 +- 5.1 84.7 +- 2.2", "85.9 +- 1.4 86.8 +- 1.4"]
    assert (where / "models" / "table.txt").read_text() in printed and printed.count("Confusion matrix:") == 2


def test_finished_stages_are_skipped(finished, data, monkeypatch, capsys):
    where, printed = finished
    monkeypatch.chdir(where)
    before = {path: path.stat().st_mtime_ns for path in where.rglob("*.caffemodel")}
    assert len(before) == 10
    assert cli.main(command(data, where)) == 0
    output = capsys.readouterr().out
    assert output.count(": up to date") == 10 and output[output.index("\nage ") :] == printed[printed.index("\nage ") :]
    assert {path: path.stat().st_mtime_ns for path in where.rglob("*.caffemodel")} == before
    assert cli.main(command(data, where, "table")) == 0
    assert capsys.readouterr().out == output[output.index("\nage ") :]
    assert cli.main(command(data, where, "table", "--iterations", "4")) == 1
    assert "no fold has been evaluated with these options" in capsys.readouterr().err


def test_an_interrupted_run_resumes_with_the_same_result(finished, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    evaluate, calls = FoldNet.evaluate, []

    def interrupt_fourth(self):
        calls.append((self.fold, self.task))
        if len(calls) == 4:
            raise KeyboardInterrupt
        evaluate(self)

    monkeypatch.setattr(FoldNet, "evaluate", interrupt_fourth)
    assert cli.main(command(data, tmp_path)) == 130
    assert cli.main(command(data, tmp_path, "crossval", "--tidy")) == 0
    assert calls[3] == calls[4] == (1, "gender") and len(calls) == 11
    for task in ("age", "gender"):
        assert matrices(tmp_path, task) == matrices(finished[0], task)
    assert "up to date" in capsys.readouterr().out
    assert not list((tmp_path / "data" / "lmdb").iterdir())  # removed by --tidy


def test_written_nets_have_the_paths_of_their_fold(finished):
    from caffe.proto.read import read_net, read_solver

    where, _ = finished
    folder = where / "models" / "test_fold_is_3" / "AgeNet"
    data = [layer for layer in read_net(folder / "train_val.prototxt").param.layer if layer.type == "Data"]
    assert [layer.data_param.source for layer in data] == [
        str(where / "data" / "lmdb" / "Test_fold_is_3" / (f"age_{part}_lmdb")) for part in ("train", "val")
    ]
    solver = read_solver(folder / "solver.prototxt").param
    lines = (where / "data" / "lists" / "test_fold_is_3" / "age_val.txt").read_text().count("\n")
    assert (solver.max_iter, solver.test_iter[0]) == (3, math.ceil(lines / 4))
    assert solver.snapshot_prefix == str(folder / "caffenet_train")


def test_ten_crops_equal_pycaffes_classifier(tmp_path):
    """Single crop and over-sampling by caffe.Classifier, on a net whose output depends on the position of the crop."""
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
    rng, expected = np.random.default_rng(1), {crops: np.zeros((3, 3), int) for crops in folds.CROPS}
    with create_db(str(tmp_path / "db")) as writer:
        for i in range(17):
            image, label = rng.integers(0, 256, (12, 12, 3), np.uint8), i % 3
            writer.put(b"%08d" % i, datum.encode(np.ascontiguousarray(image.transpose(2, 0, 1)), label))
            for crops in folds.CROPS:
                rgb = image[:, :, ::-1].astype(np.float32) / 255
                expected[crops][label, classifier.predict([rgb], crops == "oversample")[0].argmax()] += 1
    from agegender.evaluate.predictions import net_predictor

    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(tmp_path / "net.caffemodel"))
    results = folds.evaluate(net_predictor(net), str(tmp_path / "db"), Transform(crop=9, mean=mean), 3)
    assert results == {crops: matrix.tolist() for crops, matrix in expected.items()}
    assert results["single"] != results["oversample"]
    with pytest.raises(AgeGenderError, match="expected images larger than the crop \\(12\\), received 12x12"):
        folds.evaluate(net_predictor(net), str(tmp_path / "db"), Transform(crop=12, mean=mean), 3)


def test_custom_lists_are_used(finished, data, tmp_path, monkeypatch, capsys):
    where, _ = finished
    monkeypatch.chdir(tmp_path)
    lists = ["--lists", str(where / "data" / "lists"), "--test_fold", "2", "--task", "gender"]
    assert cli.main(command(data, tmp_path, "crossval", *lists)) == 0
    assert matrices(tmp_path, "gender") == {2: matrices(where, "gender")[2]}
    assert "mean of 1 folds" in capsys.readouterr().out and not (tmp_path / "data" / "lists").exists()


def test_invalid_input_is_reported(data, tmp_path, monkeypatch, capsys):
    folder, rows = data
    monkeypatch.chdir(tmp_path)
    for more, message in (
        (["--test_fold", "5"], "expected 0..4, received 5"),
        (["--images", "none"], "unpack Adience's aligned.tar.gz"),
        (["--prototxt", "none"], "AgeNet_train_val.prototxt: no such file"),
        (["--lists", "none"], "none of age_test.txt"),
        (["--archive", "faces", "--task", "age", "--test_fold", "0"], "images can be read"),
        (["--iterations", "-1"], "must be positive"),
    ):
        assert cli.main(command(data, tmp_path, "crossval", *more)) == 1
        assert message in capsys.readouterr().err
    missing = folder / "aligned" / next(row for row in rows if row.fold == 1).path()
    content = missing.read_bytes()
    missing.unlink()
    try:
        assert cli.main(command(data, tmp_path, "crossval", "--test_fold", "0", "--task", "gender")) == 1
        assert "1 images cannot be read" in capsys.readouterr().err
    finally:
        missing.write_bytes(content)
