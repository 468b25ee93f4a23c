"""Training by recipes on synthetic faces: the files of a run, the result of each stage, and resuming."""

import dataclasses
import json
import os

import cv2
import numpy as np
import pytest
import torch

import caffe
from agegender import recipes, zoo
from agegender.cli import main
from agegender.datasets import split_lmdbs
from agegender.datasets.sample import Sample
from agegender.errors import AgeGenderError
from agegender.evaluate import evaluate, int8
from agegender.inference.labels import AGE_TRINGN, FEMALE_FIRST, Gender
from agegender.recipes.recipe import Recipe, Target
from agegender.synthetic_faces import draw
from agegender.training import export, init_weights, prototxt, stacking
from agegender.training.run import Run
from agegender.zoo import assemble, face_resnet
from caffe.data import datum
from caffe.data.db import open_db
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net, read_solver
from caffe.solver import SOLVERS
from caffe.weights.snapshot import read_weights, write_caffemodel

torch.set_num_threads(1)
SMALL = dataclasses.replace(recipes.resolve("compact"), batch=6)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A directory of 60 synthetic faces of all ages and both sexes."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(60):
        age, sex = (7 * i) % 100, i % 2
        name = f"{age}_{sex}_2_201701010000000{i:02d}.jpg"
        cv2.imwrite(str(folder / name), draw(age, not sex, i))
    return folder


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    """A finished run of six iterations, and its summary."""
    result = Run(SMALL, faces, (2,), 3, iterations=6, folder=tmp_path_factory.mktemp("run") / "run")
    return result, result.run()


def read_json(run, *names):
    with open(os.path.join(run.folder, *names), encoding="utf-8") as stream:
        return json.load(stream)


def test_a_run_writes_all_of_its_files(run):
    trained, summary = run
    names = set(os.listdir(trained.folder))
    assert names >= {
        "train_lmdb",
        "test_lmdb",
        "faces.json",
        "train_test.prototxt",
        "solver.prototxt",
        "compact.caffemodel",
    }
    assert summary["faces"] == 12 and set(summary) == {"faces", "age", "gender"}
    for task in ("age", "gender"):
        report = read_json(trained, "report", task, "report.json")
        assert report["total"] == 12 and report["accuracy"] == pytest.approx(summary[task]["plain"]["accuracy"])


def test_the_model_card_describes_the_held_out_faces(run):
    trained, summary = run
    with open(os.path.join(trained.folder, "report/card.md"), encoding="utf-8") as stream:
        text = stream.read()
    metrics = summary["gender"]["plain"]
    assert "48 for training, 12 held out" in text and "(6 iterations of 6 images" in text
    assert f"| the image alone | {100 * metrics['accuracy']:.1f} % (95 % interval " in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n") if line.startswith("| ")]
    women = next(row for row in rows if row[0] == "Female")
    assert women[1:3] == ["6", f"{100 * metrics['by_sex']['Female']['accuracy']:.0f} %"]
    assert sum(int(row[1]) for row in rows if row[0] in AGE_TRINGN.names) == 12
    assert next(row for row in rows if row[0].startswith("always"))[1] == "50.0 %"


def test_a_group_that_is_left_out_is_evaluated_and_not_trained_on(faces, tmp_path):
    folder = tmp_path / "groups"
    folder.mkdir()
    for number, path in enumerate(sorted(faces.iterdir())):
        age, sex, _, stamp = path.name.split("_")
        (folder / f"{age}_{sex}_{number % 3}_{stamp}").write_bytes(path.read_bytes())
    train, test, _, _ = split_lmdbs.parts(folder, (0, 1, 2), 3, leave_out=(1,))
    alone = split_lmdbs.parts(folder, (1,), 3)[1]
    everything = split_lmdbs.parts(folder, (0, 1, 2), 3)
    assert {sample.race for sample in train} == {0, 2} and {sample.race for sample in test} == {1}
    assert {sample.path for sample in test} == {sample.path for sample in alone}  # the same faces as without the others
    assert {sample.path for sample in alone} <= {sample.path for sample in everything[1]}
    with pytest.raises(AgeGenderError, match="expected faces of the groups that are left out, and others"):
        split_lmdbs.parts(folder, (0,), 3, leave_out=(0,))


def test_the_validation_part_is_held_out_of_the_training_part(faces):
    train = split_lmdbs.parts(faces, (2,), 3)[0]
    rest, validation = split_lmdbs.hold_out(train, 0.25, 3)
    assert len(validation) == round(0.25 * len(train)) and not set(rest) & set(validation)
    assert set(rest) | set(validation) == set(train) and split_lmdbs.hold_out(train, 0, 3) == (train, [])


def test_the_parts_are_disjoint_and_labels_come_from_the_names(run):
    trained, _ = run
    parts = read_json(trained, "faces.json")
    assert len(parts["train_lmdb"]) == 48 and not set(parts["train_lmdb"]) & set(parts["test_lmdb"])
    with open_db(os.path.join(trained.folder, "train_lmdb")) as database:
        for key, value in database:
            age, sex, *_ = key.decode().partition("_")[2].split("_")
            planes, labels = datum.decode_labels(value, 3)
            assert planes.shape == (3, 116, 116) and labels == [min(int(age) // 10, 8), int(sex), int(age)]


def test_a_second_run_does_nothing(run, capsys):
    trained, summary = run
    modified = os.stat(os.path.join(trained.folder, "compact.caffemodel")).st_mtime_ns
    capsys.readouterr()
    assert Run(SMALL, trained.faces, (2,), 3, iterations=6, folder=trained.folder).run() == summary
    assert capsys.readouterr().out.count("up to date") == 6
    assert os.stat(os.path.join(trained.folder, "compact.caffemodel")).st_mtime_ns == modified


def test_a_resumed_training_ends_with_the_same_weights(run, tmp_path, faces):
    trained, _ = run
    other = Run(SMALL, faces, (2,), 3, iterations=6, folder=tmp_path / "run")
    other._train = _interrupted_training(other)
    with pytest.raises(AgeGenderError, match="resumes"):
        other.run()
    assert os.path.exists(tmp_path / "run/snapshots/net_iter_3.caffemodel")
    Run(SMALL, faces, (2,), 3, iterations=6, folder=tmp_path / "run").run()
    resumed, expected = (read_weights(os.path.join(f, "compact.caffemodel")) for f in (other.folder, trained.folder))
    assert all(np.array_equal(a, b) for name in expected for a, b in zip(resumed[name], expected[name]))


def _interrupted_training(run):
    """A `_train` that stops after three iterations."""

    def train():
        trainer = run._solver(read_solver("solver.prototxt").param)
        trainer.step(3)
        trainer.snapshot()
        raise AgeGenderError("the same command resumes")

    return train


def test_caffe_train_works_in_the_runs_directory(run, monkeypatch):
    """`caffe train -solver solver.prototxt` in it would train the same net."""
    trained, _ = run
    monkeypatch.chdir(trained.folder)
    param = read_solver("solver.prototxt").param
    assert (param.lr_policy, param.max_iter, param.weights[0]) == ("cosine", 6, "start.caffemodel")
    trainer = SOLVERS[param.type](os.path.join(trained.folder, "solver.prototxt"))
    assert trainer.net.blobs["data"].shape == (6, 3, 112, 112)
    assert set(trainer.net.outputs) == {"age_loss", "gender_loss"}
    assert set(trainer.test_nets[0].outputs) == {"age_accuracy", "age_loss", "gender_accuracy", "gender_loss"}


def test_the_exported_net_predicts_the_same_as_the_snapshot(run):
    trained, _ = run
    snapshot = os.path.join(trained.folder, "snapshots/net_iter_6.caffemodel")
    nets = SMALL.nets()
    unfolded = Net.from_param(assemble.unfolded_param(nets, ["gender", "age"]), caffe.TEST)
    unfolded.copy_from(snapshot)
    folded = Net.from_param(assemble.answers_param(nets, ["gender", "age"]), caffe.TEST)
    folded.copy_from(os.path.join(trained.folder, "compact.caffemodel"))
    assert "BatchNorm" in {layer.type for layer in unfolded.param.layer} - {layer.type for layer in folded.param.layer}
    for net in (unfolded, folded):
        net.blobs["data"].data[...] = np.random.default_rng(0).normal(0, 1, (1, 3, 112, 112))
        net.forward()
    for task in ("gender", "age"):
        np.testing.assert_allclose(folded.blobs[task].data, unfolded.blobs[task].data, rtol=2e-3, atol=1e-5)


def test_incompatible_weights_are_rejected(run, tmp_path):
    trained, _ = run
    other = dataclasses.replace(SMALL, net="face-resnet", name="other")
    with pytest.raises(AgeGenderError, match="do not fit"):
        export.write(
            other, os.path.join(trained.folder, "snapshots/net_iter_6.caffemodel"), str(tmp_path / "x.caffemodel")
        )
    assert not os.listdir(tmp_path)


def test_metrics_equal_plain_loops():
    rng = np.random.default_rng(4)
    age, sex = rng.integers(0, 101, 200), rng.integers(0, 2, 200)
    labels = {"age": age, "age_class": np.minimum(age // 10, 8), "sex": sex}
    p = rng.dirichlet(np.ones(101) * 0.1, 200)
    net = next(net for net in zoo.resolve("compact") if net.task == "age")
    metrics = evaluate.compute_metrics(net, p, labels)
    correct = one_off = 0
    for row, years in zip(p, age):
        sums = [row[low : high + 1].sum() for low, high in AGE_TRINGN.bounds]
        off = abs(int(np.argmax(sums)) - min(years // 10, 8))
        correct, one_off = correct + (off == 0), one_off + (off <= 1)
    assert (metrics["accuracy"], metrics["one_off"]) == (correct / 200, one_off / 200)
    assert metrics["error_years"] == pytest.approx(
        np.mean([abs((row * np.arange(101)).sum() - a) for row, a in zip(p, age)])
    )
    assert sum(group["faces"] for group in metrics["by_decade"].values()) == 200
    assert metrics["by_sex"]["Female"]["faces"] == sex.sum()


def test_genders_are_evaluated_male_first_for_every_net():
    net = dataclasses.replace(zoo.resolve("compact")[1], labels=FEMALE_FIRST)
    labels = {"age_class": np.zeros(2, int), "sex": np.array([0, 1])}  # a man, a woman
    assert evaluate.compute_metrics(net, np.array([[0.1, 0.9], [0.8, 0.2]]), labels)["accuracy"] == 1
    sample = Sample("x", 30, Gender.FEMALE, 2)
    assert split_lmdbs.label_names(sample, FEMALE_FIRST, 5) == (3, 0, 30, (2 * 9 + 3) * 2 + 0, 5)


def test_targets_are_distributions_around_the_label():
    assert Target().matrix(9) is None
    smooth = Target(smoothing=0.2).matrix(4)
    assert np.allclose(smooth, 0.05 + 0.8 * np.eye(4))
    rows = Target(deviation=2).matrix(101)
    for label in (0, 40, 100):
        weights = [np.exp(-((k - label) ** 2) / 8) for k in range(101)]
        assert np.allclose(rows[label], np.array(weights) / sum(weights), atol=1e-6)


def test_targets_with_tails_keep_their_mass_and_their_mean():
    rows = Target(deviation=1, growth=0.04).matrix(101)
    years = np.arange(101)
    assert np.allclose(rows.sum(1), 1) and (np.diff(rows[50, :51]) >= 0).all()
    assert np.abs(rows @ years - years).max() < 2.1  # only at the ends, where half of the distribution is cut off
    assert np.allclose(rows[5:80] @ years, years[5:80], atol=0.01)
    deviations = np.sqrt(np.maximum(0, rows @ years**2 - (rows @ years) ** 2))
    assert np.allclose(deviations[20:80], np.sqrt((1 + 0.04 * years[20:80]) ** 2 + 1 / 12), atol=0.02)


def test_the_average_of_snapshots_is_their_mean(tmp_path):
    param = caffe_pb2.NetParameter()
    param.layer.add(name="a", type="Convolution")
    arrays = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    for number, array in zip((100, 20, 3), arrays):
        write_caffemodel(str(tmp_path / f"net_iter_{number}.caffemodel"), param, {"a": [array]})
    (tmp_path / "net_iter_5.solverstate").write_bytes(b"")
    numbers = export.snapshots(str(tmp_path / "net"))
    assert numbers == [3, 20, 100]
    target = export.average(
        [str(tmp_path / f"net_iter_{n}.caffemodel") for n in numbers], str(tmp_path / "mean.caffemodel")
    )
    assert np.allclose(read_weights(target)["a"][0], arrays.mean(0), atol=1e-6)


def test_a_stacked_teacher_is_looked_up_by_the_number_of_the_face(tmp_path, monkeypatch):
    """The distillation loss is the cross entropy with the rows of the table that belong to the batch's faces."""
    recipe = dataclasses.replace(SMALL, batch=2, teachers=("dlib-age",), distillation_weight=0.5)
    monkeypatch.chdir(tmp_path)
    samples = [Sample(str(tmp_path / f"{age}.png"), age, Gender(age % 2), 2) for age in (3, 24, 61)]
    for sample in samples:
        cv2.imwrite(sample.path, draw(sample.age, not sample.gender, sample.age))
    split_lmdbs.write(".", samples, samples, recipe.nets()[0].transform(), recipe.gender_labels())
    rng = np.random.default_rng(4)
    table = {net.task: rng.dirichlet(np.ones(len(net.labels)), 3).astype(np.float32) for net in recipe.nets()}
    init_weights.write(".", recipe, teacher_table=table)
    (tmp_path / "net.prototxt").write_text(prototxt.write(prototxt.train_test(recipe, 3), "x"))
    net = Net.from_param(read_net("net.prototxt").param, caffe.TRAIN)
    net.copy_from(prototxt.START)
    out = net.forward()
    faces = net.blobs["face"].data.astype(int)
    for head in recipe.nets():
        logits = net.blobs[head.logits].data.astype(np.float64)
        log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        expected = -0.5 * (table[head.task][faces] * log).sum(1).mean()
        weight = -0.5 / 2  # of the layer, per image
        assert weight * float(out[head.task + "_distillation_loss"]) == pytest.approx(expected, abs=1e-3)


class Features:
    """Features that show the gender of every second face and nothing of the others."""

    @staticmethod
    def of(name, samples, folder):
        rng = np.random.default_rng(len(name))
        rows = rng.normal(size=(len(samples), 6)).astype(np.float32)
        rows[::2, 0] = [6.0 * sample.gender - 3 for sample in samples[::2]]
        return rows


def test_stacking_predicts_every_face_without_its_own_label(monkeypatch):
    monkeypatch.setattr(stacking.teacher_features, "of", Features.of)
    monkeypatch.setattr(stacking, "EPOCHS", 30)
    rng = np.random.default_rng(1)
    samples = [Sample(f"{i}", int(rng.integers(0, 90)), Gender(int(rng.integers(2))), 2) for i in range(400)]
    recipe = dataclasses.replace(recipes.resolve("compact-all"), teachers=("one",))
    table = stacking.predict(recipe, samples, "unused", 3)
    assert {task: rows.shape for task, rows in table.items()} == {"gender": (400, 2), "age": (400, 101)}
    assert all(np.allclose(rows.sum(1), 1, atol=1e-4) for rows in table.values())
    right = table["gender"].argmax(1) == [sample.gender for sample in samples]
    assert right[::2].mean() > 0.9 and right[1::2].mean() < 0.65  # a net that had seen the labels would know these


@pytest.mark.parametrize("name", list(recipes.recipes()))
def test_the_net_of_every_recipe_trains(name, tmp_path, monkeypatch):
    """Its prototxt parses, its net is created, and the gradient of its loss reaches the first weights."""
    recipe = dataclasses.replace(recipes.resolve(name), batch=2)
    monkeypatch.chdir(tmp_path)
    samples = [Sample(str(tmp_path / f"{age}.png"), age, Gender(age % 2), 2) for age in (3, 24, 61)]
    for sample in samples:
        cv2.imwrite(sample.path, draw(sample.age, not sample.gender, sample.age))
    split_lmdbs.write(".", samples, samples, recipe.nets()[0].transform(), recipe.gender_labels())
    # without features and teacher, which would have to be downloaded or trained
    table = {net.task: np.full((3, len(net.labels)), 1 / len(net.labels), np.float32) for net in recipe.nets()}
    alone = dataclasses.replace(recipe, features=False, teacher="")
    init_weights.write(".", alone, teacher_table=table if recipe.teachers else {})
    (tmp_path / "net.prototxt").write_text(prototxt.write(prototxt.train_test(recipe, 3), "x"))
    param = read_net("net.prototxt").param
    net = Net.from_param(param, caffe.TRAIN)
    for copies, (ones,) in face_resnet.fixed_weights(param).items():  # without them the gradient is zero
        net.params[copies][0].data[...] = ones
    net.forward()
    net.backward()
    learnable = [weight for weight in net.learnable_weights if weight.lr_mult]
    assert float(learnable[0].blob.grad.abs().sum()) > 0


def test_unknown_tasks_and_recipes_are_errors():
    with pytest.raises(AgeGenderError, match="does not predict mood"):
        Recipe("x", "x", "compact", 1, 1, {"mood": Target()}, {}, {}).nets()
    with pytest.raises(AgeGenderError, match="did you mean 'compact'"):
        recipes.resolve("compct")


def test_unused_labels_are_silenced():
    net = caffe_pb2.NetParameter()
    net.layer.add(name="a", type="Accuracy", bottom=["x", "gender"])
    prototxt.silence(net, caffe_pb2.TRAIN)
    assert list(net.layer[-1].bottom) == ["age_class", "age", "cell", "face"]


def test_fp16_and_int8_stay_close_to_float32(run, capfd):
    trained, summary = run
    assert set(summary["age"]) == {"plain", "flip", "fp16"}
    weights, train, test = (
        os.path.join(trained.folder, name) for name in ("compact.caffemodel", "train_lmdb", "test_lmdb")
    )
    net = SMALL.nets()[0]
    probabilities = evaluate.predict_lmdb(net, weights, test)
    assert 0 < np.abs(probabilities["fp16"] - probabilities["plain"]).max() < 0.01
    quantized = int8.predict(net, weights, train, test)
    assert quantized.shape == probabilities["plain"].shape and np.allclose(quantized.sum(1), 1, atol=1e-3)
    assert 0 < np.abs(quantized - probabilities["plain"]).max() < 0.2


@pytest.fixture(scope="module")
def distilled(faces, tmp_path_factory):
    """A run of two iterations whose teacher is a compact net too."""
    recipe = dataclasses.replace(SMALL, teacher="compact", distillation_weight=0.25)
    result = Run(recipe, faces, (2,), 3, iterations=2, folder=tmp_path_factory.mktemp("distilled") / "run")
    result.run()
    return result


def test_the_teacher_was_trained_on_the_same_faces_and_is_frozen(distilled):
    assert read_json(distilled.teacher, "faces.json") == read_json(distilled, "faces.json")
    teacher = read_weights(distilled.teacher_weights)
    snapshot = read_weights(os.path.join(distilled.folder, "snapshots/net_iter_2.caffemodel"))
    names = [name for name in snapshot if name.startswith("teacher/")]
    assert len(names) == len(teacher) == 20
    assert all(np.array_equal(a, b) for name in names for a, b in zip(snapshot[name], teacher[name.partition("/")[2]]))


def test_a_trained_teacher_is_reused(distilled, faces, monkeypatch, capsys):
    """For any number of iterations; a teacher of other faces is trained again."""
    monkeypatch.chdir(distilled.folder)
    again = Run(distilled.recipe, faces, (2,), 3, iterations=1, folder=distilled.folder)
    trained = []
    again.teacher.run = lambda: trained.append(1)
    again._train_teacher()
    assert "already trained" in capsys.readouterr().out and not trained
    monkeypatch.chdir(os.path.dirname(distilled.folder))
    with open("faces.json", "w") as stream:
        stream.write("{}")
    again._train_teacher()
    assert trained


def test_the_distillation_loss_is_a_cross_entropy(distilled, monkeypatch):
    """The loss of one batch equals plain loops over the logits and the teacher's outputs."""
    monkeypatch.chdir(distilled.folder)
    net = Net.from_param(read_net("train_test.prototxt").param, caffe.TRAIN)
    net.copy_from("snapshots/net_iter_2.caffemodel")
    net.forward()
    param = assemble.answers_param(SMALL.nets(), ["gender", "age"])
    teacher = Net.from_param(param, caffe.TEST)
    teacher.copy_from(distilled.teacher_weights)
    teacher.blobs["data"].reshape(6, 3, 112, 112)
    teacher.blobs["data"].data[...] = net.blobs["data"].data
    teacher.forward()
    for task in ("gender", "age"):
        student_prob = torch.softmax(torch.tensor(np.array(net.blobs[task + "_logits"].data)), 1).numpy()
        teacher_prob = teacher.blobs[task].data
        pairs = [(t, p) for rows in zip(teacher_prob, student_prob) for t, p in zip(*rows)]
        expected = -sum(t * np.log(p + 1e-6) for t, p in pairs) / 6
        layer = next(layer for layer in net.param.layer if layer.name == task + "_distillation_loss")
        assert layer.loss_weight[0] * net.blobs[task + "_distillation_loss"].data == pytest.approx(
            0.25 * expected, rel=1e-4
        )
        weight = next(layer for layer in net.param.layer if layer.name == task + "_loss").loss_weight[0]
        assert weight == pytest.approx(0.75)


def test_a_teacher_with_another_input_is_rejected():
    other = dataclasses.replace(SMALL, teacher="face-resnet")
    with pytest.raises(AgeGenderError, match="need the same input, mean and channel order"):
        prototxt.train_test(other)


@pytest.mark.parametrize("name", ["agenet", "gendernet"])
def test_a_recipe_without_initial_weights_runs_completely(name, faces, tmp_path):
    """Nets of age groups and of genders; there is no start.caffemodel."""
    run = Run(
        dataclasses.replace(recipes.resolve(name), batch=4), faces, (2,), 3, iterations=1, folder=tmp_path / "run"
    )
    summary = run.run()
    (task,) = run.recipe.targets
    assert set(summary) == {"faces", task} and summary["faces"] == 12
    assert not list(read_solver(tmp_path / "run/solver.prototxt").param.weights)
    assert read_json(run, "report", task, "report.json")["total"] == 12


def test_the_default_experiment_is_zealerwws(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    resolve = recipes.resolve
    monkeypatch.setattr(recipes, "resolve", lambda name: dataclasses.replace(resolve(name), batch=4))
    assert main(["experiment", "--faces", str(faces), "--iterations", "1", "--out", "table.md"]) == 0
    rows = [line.split("|")[1].strip() for line in (tmp_path / "table.md").read_text().splitlines()[2:]]
    known = {name for name in recipes.recipes() if name.startswith("zealerww-")} - {"zealerww-vggface"}
    assert set(rows) == known and len(known) == 8 and len(rows) == 3 * len(known)


def test_an_experiment_tabulates_all_seeds(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["experiment", "compact", "--faces", str(faces), "--iterations", "1", "--seed", "3", "--seed", "4"]
    assert main([*command, "--out", "table.md"]) == 0
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (tmp_path / "table.md").read_text().splitlines()
    ]
    assert [row[:3] for row in rows[2:]] == [["compact", "2", view] for view in ("plain", "flip", "fp16")]
    parts = [
        json.loads((tmp_path / "models/compact" / run / "report/summary.json").read_text())
        for run in ("seed3", "seed4")
    ]
    percents = [100 * part["gender"]["plain"]["accuracy"] for part in parts]
    assert rows[2][3] == f"{sum(percents) / 2:.1f} ± {abs(percents[0] - percents[1]) / 2**0.5:.1f} %"
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.count("up to date") == 12


def test_several_workers_run_caffe_train_in_the_directory_of_the_run(faces, tmp_path, monkeypatch):
    """The processes themselves are tested in tests/caffe/solver/distributed."""
    from caffe.tools import train

    started = []

    def start(count, **flags):
        started.append((count, flags, os.getcwd()))
        return 1

    monkeypatch.setattr(train, "start", start)
    run = Run(SMALL, faces, (2,), 3, iterations=6, workers=2, batch="shared", threads=1, folder=tmp_path / "run")
    with pytest.raises(AgeGenderError, match="the same command resumes it"):
        run.run()
    (count, flags, folder) = started[0]
    assert count == 2 and folder == str(tmp_path / "run")
    expected = {"solver": "solver.prototxt", "resume": True, "batch": "shared", "threads": 1, "precision": "float32"}
    assert flags == expected | {"gradient_checkpointing": False}
