"""Prediction: results in order, equal numbers from every runner, an exit status for every kind of error."""

import json

import cv2
import numpy as np
import pytest
from support import compiled_nets

from agegender.inference import image_files, net_predictor, predict
from caffe.utils.cli import commands
from ncs.compiler.compile import deploy_net
from ncs.runtime.manifest import Manifest


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A folder with a small AgeNet and GenderNet as ONNX and IR, and seven images."""
    folder = tmp_path_factory.mktemp("graph")
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform(mean))
    rng = np.random.default_rng(1)
    (folder / "images").mkdir()
    for i in range(7):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), rng.integers(0, 255, (30 + i, 26, 3), np.uint8))
    return folder


def _run(graph, *argv):
    return commands.run_command(
        "agegender.cli", "predict", "run_inference.py", ["--model-dir", str(graph), *map(str, argv)]
    )


def _json_lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("device", ["CPU", "ONNXRUNTIME", "CAFFE"])
def test_every_runner_agrees_with_numpy_and_caffe_net(graph, device, capsys):
    assert _run(graph, "--image_path", graph / "images", "--device", device, "--json", "--batch", 3) == 0
    rows = _json_lines(capsys)
    assert [row["image"] for row in rows] == [str(graph / "images" / f"{i}.png") for i in range(7)]
    mean = np.load(graph / "AgeNet_mean.npy")
    net = deploy_net(str(graph / "AgeNet.prototxt"), str(graph / "AgeNet.caffemodel"))
    for row in rows:
        image = cv2.resize(cv2.imread(row["image"]), (20, 20)).astype(np.float32)  # BGR, as in training
        net.blobs["data"].data[0] = image.transpose(2, 0, 1) - mean
        expected = net.forward()["prob"][0]
        assert np.abs(np.array(row["answers"]["AgeNet"]["probabilities"]) - expected).max() < 1e-5
        assert row["answers"]["AgeNet"]["label"] == str(expected.argmax())


def test_compat_is_rgb_with_the_channel_mean_of_the_bgr_mean(graph, capsys):
    path = graph / "images" / "0.png"
    assert _run(graph, "--image_path", path, "--compat", "--json", "--device", "CPU") == 0
    row = _json_lines(capsys)[0]
    mean = np.load(graph / "AgeNet_mean.npy").mean((1, 2))
    net = deploy_net(str(graph / "AgeNet.prototxt"), str(graph / "AgeNet.caffemodel"))
    rgb = cv2.resize(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), (20, 20)).astype(np.float32)
    net.blobs["data"].data[0] = (rgb - mean).transpose(2, 0, 1)
    expected = net.forward()["prob"][0]
    assert np.abs(np.array(row["answers"]["AgeNet"]["probabilities"]) - expected).max() < 1e-5


def test_text_is_that_of_the_original_script(graph, capsys):
    argv = ["--image_path", graph / "images" / "0.png", "--mean_file", graph / "AgeNet_mean.npy", "--device", "CPU"]
    assert _run(graph, *argv) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Age predicted: ") and lines[1].startswith("Gender predicted: ")
    label, percent = lines[1][len("Gender predicted: ") :].split(", ")
    assert label in ("Male", "Female") and percent.endswith("%") and 50 <= float(percent[:-1]) <= 100
    assert "Running on CPU" in err


def test_csv_and_annotated_image(graph, tmp_path, capsys):
    argv = ["--image_path", graph / "images" / "0.png", "--csv", tmp_path / "t.csv", "--output", tmp_path / "a.png"]
    assert _run(graph, *argv, "--verbose", "--device", "CPU") == 0
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert header == "image,AgeNet,AgeNet probability,GenderNet,GenderNet probability"
    annotated = cv2.imread(str(tmp_path / "a.png"))
    assert annotated.shape[1] == 240 and annotated.shape[0] > 240
    assert "Execution time (AgeNet): " in capsys.readouterr().out


def test_every_kind_of_error_has_its_exit_status(graph, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty").mkdir()
    good = graph / "images" / "0.png"
    for status, message, argv in (
        (image_files.NO_FILE, "no such file", ["--image_path", tmp_path / "none.jpg"]),
        (image_files.NO_FILE, "no image in this directory", ["--image_path", tmp_path / "empty"]),
        (image_files.NO_FILE, "no file matches", ["--image_path", str(tmp_path / "*.gif")]),
        (image_files.NO_IMAGE, "not an image", ["--image_path", tmp_path / "text.jpg"]),
        (image_files.NO_FACE, "to show a face", ["--image_path", tmp_path / "small.png"]),
        (image_files.NO_MODEL, "compile2Movidius.sh", ["--image_path", good, "--model-dir", tmp_path]),
        (image_files.NO_DEVICE, "No devices found", ["--image_path", good, "--device", "GPU"]),
        (image_files.NO_DEVICE, "No devices found", ["--image_path", good, "--device", "MYRIAD"]),
    ):
        assert _run(graph, *argv) == status, argv
        error = capsys.readouterr().err
        assert message in error and error.count("error:") == 1, error


def test_images_before_a_broken_one_are_predicted(graph, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    good = graph / "images" / "0.png"
    argv = ["--image_path", good, tmp_path / "text.jpg", good, "--json", "--device", "CPU"]
    assert _run(graph, *argv) == image_files.NO_IMAGE
    assert len(_json_lines(capsys)) == 1


def test_with_margin_repeats_the_border():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    wide = predict.with_margin(image, 0.4)
    assert wide.shape == (36, 54, 3) and (wide[8:28, 12:42] == image).all()
    assert (wide[:9, :13] == image[0, 0]).all() and (wide[-9:, -13:] == image[-1, -1]).all()
    assert predict.with_margin(image, 0.0) is image


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Nets of the same task: two with genders in different orders, two with different age classes."""
    folder = tmp_path_factory.mktemp("several")
    nets = {
        "OneGender": ["Male", "Female"],
        "OtherGender": ["Female", "Male"],
        "OneAge": list("01"),
        "OtherAge": list("0123"),
    }
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compile_nets(folder, compiled_nets.transform(mean, scale=1 / 64), nets)
    (folder / "images").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (20, 20, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), noise)
    return folder


def test_flip_averages_image_and_mirror_image(several, capsys):
    """The reference is caffe.Net on the transformed image and its mirror image, as Caffe's oversampling does it."""
    command = ["--image_path", several / "images", "--net", "OtherAge"]
    assert _run(several, *command, "--flip", "--device", "CPU", "--json") == 0
    rows = _json_lines(capsys)
    mean = np.load(several / "OtherAge_mean.npy")
    net = deploy_net(str(several / "OtherAge.prototxt"), str(several / "OtherAge.caffemodel"))
    for row in rows:
        blob = (cv2.imread(row["image"]).astype(np.float32).transpose(2, 0, 1) - mean) / 64
        outputs = []
        for data in (blob, blob[:, :, ::-1]):
            net.blobs["data"].data[0] = data
            outputs.append(net.forward()["prob"][0].copy())
        assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
        expected = (outputs[0] + outputs[1]) / 2
        assert np.abs(np.array(row["answers"]["OtherAge"]["probabilities"]) - expected).max() < 1e-5


def test_ensemble_averages_the_nets_of_a_task(several, tmp_path, capsys):
    command = ["--image_path", several / "images", "--device", "CPU"]
    command += [word for name in ("OneGender", "OtherGender", "OneAge") for word in ("--net", name)]
    assert _run(several, *command, "--json") == 0
    separate = [row["answers"] for row in _json_lines(capsys)]
    assert _run(several, *command, "--ensemble", "--json", "--csv", tmp_path / "t.csv") == 0
    ensemble = [row["answers"] for row in _json_lines(capsys)]
    for one, mean in zip(separate, ensemble):
        assert list(mean) == ["gender", "age"]
        male = (one["OneGender"]["probabilities"][0] + one["OtherGender"]["probabilities"][1]) / 2
        assert mean["gender"]["probabilities"] == pytest.approx([male, 1 - male], abs=1e-6)
        assert mean["gender"]["label"] == ("Male" if male > 0.5 else "Female")
        assert mean["age"]["probabilities"] == pytest.approx(one["OneAge"]["probabilities"])
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "image,gender,gender probability,age,age probability" and len(lines) == 4
    assert _run(several, *command, "--ensemble", "--batch", 1) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("Gender predicted: ")


def test_ensemble_refuses_nets_of_different_classes(several, capsys):
    command = ["--image_path", several / "images", "--net", "OneAge", "--net", "OtherAge"]
    assert _run(several, *command, "--ensemble", "--device", "CPU") == 2
    assert "OtherAge and OneAge predict age in different classes" in capsys.readouterr().err


class Fixed:
    """A runner that always returns the same probabilities."""

    def __init__(self, rows):
        self.rows = np.asarray(rows, np.float32)

    def run(self, blobs):
        return np.repeat(self.rows[None], len(blobs), 0)

    def close(self):
        pass


def test_nets_of_years_that_end_differently_form_an_ensemble(graph):
    """A missing year counts as probability 0: 0.5 at 80 and 0.5 at 90 is 85 years."""
    nets = []
    for label_set, last, year in (("age-81-decades", 80, 80), ("age-101-decades", 100, 90)):
        manifest = Manifest.read(str(graph / "AgeNet.json"))
        manifest.labels, manifest.label_set = [str(number) for number in range(last + 1)], label_set
        nets.append(net_predictor.NetPredictor(manifest, Fixed(np.eye(last + 1)[year])))
    net_predictor.make_ensemble(nets)
    answers = predict.FacePredictor(nets).predict_array(np.zeros((40, 40, 3), np.uint8)).predictions[0].answers
    assert list(answers) == ["age"] and len(answers["age"].probabilities) == 101
    assert (answers["age"].years, answers["age"].text) == (85, "80-120")
