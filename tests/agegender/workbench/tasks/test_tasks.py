"""Tasks in this process: split lists, nets of a form, layers, archives, occlusion, evaluation."""

import base64
import json
import os
import tarfile

import cv2
import numpy as np
import pytest
from support import workbench_root as wr

from agegender.errors import AgeGenderError
from agegender.workbench.server import archives, evaluation
from agegender.workbench.tasks import (
    archive,
    check_net,
    describe,
    evaluate,
    explain,
    layers,
    precision,
    predict,
    run_files,
    schedule,
    split,
    write_run,
)
from agegender.workbench.tasks import example as example_task
from caffe.errors import CaffeError

WEIGHTS = wr.RUN + "_iter_20.caffemodel"
NET = "models/demo/train_val.prototxt"


def form(**values):
    return {"net": wr.NET, "solver": wr.SOLVER, "run": "models/new", **values}


@pytest.fixture
def here(trained_root):
    """The shared root as the current directory; not to be changed."""
    with wr.working_directory(trained_root):
        yield trained_root


@pytest.fixture
def copy(root):
    """A copy of the root as the current directory."""
    with wr.working_directory(root):
        yield root


def test_fields_of_the_form_are_applied(here):
    values = form(
        max_iter=7, base_lr=0.5, lr_policy="fixed", batch_size=3, seed=9, test_database="data/other", classes=4
    )
    net, solver = run_files.read({**values, "mean": "data/other.binaryproto"})
    train, test = net.layer[0], net.layer[1]
    assert (solver.max_iter, solver.base_lr, solver.lr_policy, solver.random_seed) == (7, 0.5, "fixed", 9)
    assert (solver.net, solver.snapshot_prefix) == ("models/new/train_val.prototxt", "models/new/train")
    assert (train.data_param.batch_size, test.data_param.batch_size) == (3, 6)
    assert (train.data_param.source, test.data_param.source) == (wr.TRAIN, "data/other")
    assert {layer.transform_param.mean_file for layer in (train, test)} == {"data/other.binaryproto"}
    assert [layer.inner_product_param.num_output for layer in net.layer if layer.name == "fc"] == [4]


def test_schedule_is_the_policy(here):
    rows = schedule.answer(form())["schedule"]
    assert rows == [[float(i), pytest.approx(0.01 * 0.5 ** (i // 10))] for i in range(20)]
    with pytest.raises(CaffeError, match="unknown lr_policy"):
        schedule.answer({**form(), "solver": wr.SOLVER.replace('"step"', '"stop"')})


def test_check_has_graph_and_estimates(here):
    checked = check_net.answer(form(batch_size=2))
    weights = 4 * 3 * 25 + 4 + 9 * 4 * 49 + 9  # conv1 and fc
    assert (checked["weights"], checked["batch"], checked["max_iter"]) == (weights, 2, 20)
    assert checked["seconds_per_iteration"] >= 0 and checked["memory_megabytes"] > 0
    boxes = {box["name"]: box for box in checked["graph"]["boxes"]}
    assert boxes["conv1"]["shapes"] == ["2×4×7×7"] and boxes["fc"]["weights"] == 9 * 4 * 49 + 9
    assert ["conv1", "relu1"] in [list(line) for line in checked["graph"]["lines"]]


def test_written_run_trains(copy):
    from caffe.tools import main

    written = write_run.answer(form(max_iter=2, labels=["a", "b"]))
    assert main(["train", "--solver", written["solver"]]) == 0
    assert os.path.isfile("models/new/train_iter_2.caffemodel")
    assert (copy / "models/new/labels.txt").read_text() == "a\nb\n"
    with pytest.raises(AgeGenderError, match="exists"):
        write_run.answer(form())


def test_description_of_a_snapshot(here):
    described = describe.answer({"net": NET, "weights": WEIGHTS})
    assert described["shape"] == [3, 32, 32] and described["mean_file"] == "data/mean/mean.binaryproto"
    assert [layer["name"] for layer in described["layers"]] == ["data", "conv1", "relu1", "fc", "prob"]
    assert 'type: "Softmax"' in described["deploy"]


def test_activations_are_those_of_the_net(here):
    """Reference: the convolution as a plain loop over the transformed record."""
    from caffe.data import datum
    from caffe.data.db import open_db
    from caffe.weights.snapshot import read_weights

    with open_db(wr.TEST) as db:
        key, value = next(iter(db))
    planes = (datum.decode(value)[0].astype(np.float32) - 120) * np.float32(0.01)
    weights, bias = (np.asarray(blob) for blob in read_weights(WEIGHTS)["conv1"])
    expected = np.array(
        [
            [[(planes[:, y : y + 5, x : x + 5] * kernel).sum() + b for x in range(0, 28, 4)] for y in range(0, 28, 4)]
            for kernel, b in zip(weights, bias.ravel())
        ]
    )
    values = {"net": NET, "weights": WEIGHTS, "database": wr.TEST, "key": key.hex()}
    described = layers.answer(values)["layers"]
    shown = described["conv1"]
    (activation,) = shown["activations"]
    for name, value in (("mean", expected.mean()), ("min", expected.min()), ("max", expected.max())):
        assert activation[name] == pytest.approx(value, abs=1e-4)
    assert activation["shape"] == [4, 7, 7] and sum(activation["histogram"]) == expected.size
    (after,) = described["relu1"]["activations"]
    assert after["min"] == pytest.approx(max(0.0, expected.min()), abs=1e-6)
    assert shown["weights"][0]["mean"] == pytest.approx(float(weights.mean()), abs=1e-6)
    with pytest.raises(AgeGenderError, match="no such record"):
        layers.answer({**values, "key": b"missing".hex()})


@pytest.mark.parametrize("shape", [(), (5,), (4, 6), (8, 5, 5), (2, 3, 7, 7), (6, 4, 3, 3), (2, 2, 2, 2, 2)])
def test_every_array_has_a_picture(shape):
    described = layers.describe(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(described["png"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.size and described["count"] == int(np.prod(shape))


def test_values_outside_of_fp16_are_counted():
    described = layers.describe(np.array([0, 1, 7e4, -7e4, np.inf, np.nan, 1e-9], np.float32))
    assert (described["fp16_overflow"], described["not_finite"], described["fp16_zero"]) == (2, 2, 1)


def test_precision_has_every_layer(here):
    answer = precision.answer({"net": NET, "weights": WEIGHTS, "database": wr.TEST})
    assert [layer["name"] for layer in answer["layers"]][:2] == ["data", "conv1"]
    assert answer["same_class"] == answer["images"] == 8 and answer["largest_difference"] < 0.01


def test_evaluation_of_labels_of_the_wrong_number(here, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join("abcdefghijklm"))
    with pytest.raises(AgeGenderError, match="at most 9 class names"):
        evaluate.read_labels(str(tmp_path / "labels.txt"), 9)
    assert evaluate.read_labels("", 3).names == ("0", "1", "2")
    assert len(evaluation.read(wr.EVALUATION).keys) == 12


def test_split_of_folders_is_stratified_and_complete(tmp_path):
    counts = {"b": 10, "a": 5, "empty": 0}
    for name, count in counts.items():
        (tmp_path / "images" / name / "deep").mkdir(parents=True)
        for number in range(count):
            (tmp_path / "images" / name / "deep" / f"{number}.png").touch()
    with wr.working_directory(tmp_path):
        split.main(["--folders", "images", "--out", "out", "--train", "0.8"])
        assert (tmp_path / "out/labels.txt").read_text() == "a\nb\n"
        lines = [line.rsplit(" ", 1) for part in ("train", "test") for line in (tmp_path / f"out/{part}.txt").open()]
        assert len({path for path, _ in lines}) == 15 and all(os.path.isfile(path) for path, _ in lines)
        assert [int(label) for _, label in lines].count(0) == 5
        test = [line.rsplit(" ", 1)[1].strip() for line in (tmp_path / "out/test.txt").open()]
        assert (test.count("0"), test.count("1")) == (1, 2)


def test_split_of_a_list(tmp_path):
    (tmp_path / "x.png").touch()
    lines = ["x.png 0", "x.png 0", "x.png 2", "x.png 2"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n\n")
    with wr.working_directory(tmp_path):
        split.main(["--list", "list.txt", "--out", "out", "--train", "0.5"])
        assert (tmp_path / "out/labels.txt").read_text() == "0\n1\n2\n"
        assert sorted((tmp_path / "out/train.txt").read_text().splitlines()) == ["x.png 0", "x.png 2"]
        for bad, reason in [("x.png", "list.txt:1"), ("x.png -1", "label from 0"), ("../../etc/passwd 1", "not below")]:
            (tmp_path / "list.txt").write_text(bad + "\n")
            with pytest.raises(AgeGenderError, match=reason):
                split.main(["--list", "list.txt", "--out", "other"])


def test_archive_goes_out_and_in(copy, tmp_path):
    files = [("w_iter_20.caffemodel", WEIGHTS), ("labels.txt", b"a\nb\n"), ("empty", b"")]
    deploy = describe.answer({"net": NET, "weights": WEIGHTS})["deploy"].encode()
    info = archives.info(
        "demo", {"snapshot": "w_iter_20.caffemodel", "deploy": "deploy.prototxt", "labels": "labels.txt"}, [32, 32, 3]
    )
    folder = copy / "uploaded"
    folder.mkdir()
    data = b"".join(archives.stream([*files, ("deploy.prototxt", deploy), ("info.json", info)]))
    (folder / "archive").write_bytes(data)
    with tarfile.open(folder / "archive") as tar:  # Python's reader as the reference
        assert tar.getnames() == ["w_iter_20.caffemodel", "labels.txt", "empty", "deploy.prototxt", "info.json"]
        assert tar.extractfile("w_iter_20.caffemodel").read() == (copy / WEIGHTS).read_bytes()
        values = json.load(tar.extractfile("info.json"))
    assert values["model file"] == "deploy.prototxt" and values["image dimensions"] == [32, 32, 3]
    archive.main(["uploaded/archive", "--out", "models/taken"])
    assert not folder.exists()
    assert (copy / "models/taken/snapshot_iter_20.caffemodel").read_bytes() == (copy / WEIGHTS).read_bytes()
    assert (copy / "models/taken/labels.txt").read_text() == "a\nb\n"
    net, _ = evaluate.open_net("models/taken/deploy.prototxt", "models/taken/snapshot_iter_20.caffemodel")
    assert net.blobs[net.outputs[0]].shape[1] == 9


def test_example_shows_the_record_and_the_draws(here, tmp_path):
    values = {
        "database": wr.TRAIN,
        "key": "",
        "crop": 24,
        "resize": 28,
        "mirror": True,
        "rotation": 5,
        "brightness": 0.1,
    }
    answer = example_task.answer({**values, "seed": 1, "folder": str(tmp_path)})
    picture = cv2.imdecode(np.frombuffer((tmp_path / "data").read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert answer["shape"] == [3, 24, 24] and picture.shape[1] == 8 * picture.shape[0]
    with pytest.raises(CaffeError):
        example_task.answer({**values, "crop": 100, "seed": 1, "folder": str(tmp_path)})


class Brightness:
    """A net that looks at the upper left quarter only."""

    name = "brightness"

    def probabilities(self, blobs):
        value = blobs[:, :, :16, :16].mean((1, 2, 3)) / 255
        return np.stack([value, 1 - value], 1)

    def output(self, row):
        from agegender.inference.results import NetOutput

        return NetOutput(self.name, "bright", float(row[0]), list(row))


def test_occlusion_finds_the_part_that_the_net_looks_at():
    blob = np.zeros((3, 32, 32), np.float32)
    blob[:, :16, :16] = 255
    shown = np.array(explain.occlusion(Brightness(), blob)["map"])
    assert shown[:4, :4].min() > 0.05 and abs(shown[8:, 8:]).max() < 1e-6


def test_prediction_prints_one_line_per_image_and_device(here, capsys):
    images = [{"name": "face", "path": "data/faces/0.png"}, {"name": "missing", "path": "data/faces/missing.png"}]
    values = {"images": images, "nets": [{"name": "age", "folder": "graph"}], "devices": ["CPU", "ONNXRUNTIME"]}
    assert predict.answer(values) == {"done": 4}
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["image"], row["device"]) for row in rows[:2]] == [("face", "CPU"), ("face", "ONNXRUNTIME")]
    cpu, other = (row["faces"][0]["answers"]["age"] for row in rows[:2])
    assert cpu["label"] == other["label"] and cpu["probability"] == pytest.approx(other["probability"], abs=2e-3)
    assert "no such file" in rows[2]["error"] and "data/faces" not in rows[2]["error"]
