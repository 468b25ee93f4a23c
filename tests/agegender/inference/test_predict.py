"""Prediction: answers in order, every runner the same numbers, every fault its own exit status."""

import json

import cv2
import numpy as np
import pytest
from support import compiled_nets

from agegender.cli import predict as verb
from agegender.inference import predict
from caffe.utils import commands
from ncs.compiler.compile import deploy_net


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A folder with a small AgeNet and GenderNet, ONNX and IR, and pictures beside it."""
    folder = tmp_path_factory.mktemp("graph")
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compiled(folder, compiled_nets.transform(mean))
    rng = np.random.default_rng(1)
    (folder / "pictures").mkdir()
    for i in range(7):
        cv2.imwrite(str(folder / "pictures" / ("%d.png" % i)), rng.integers(0, 255, (30 + i, 26, 3), np.uint8))
    return folder


def _run(graph, *argv):
    return commands.run_command(
        "agegender.cli", "predict", "run_inference.py", ["--model-dir", str(graph), *map(str, argv)]
    )


def _answers(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("device", ["CPU", "ONNXRUNTIME", "CAFFE"])
def test_every_runner_says_what_plain_numpy_and_our_net_say(graph, device, capsys):
    assert _run(graph, "--image_path", graph / "pictures", "--device", device, "--json", "--batch", 3) == 0
    told = _answers(capsys)
    assert [row["image"] for row in told] == [str(graph / "pictures" / ("%d.png" % i)) for i in range(7)]
    mean = np.load(graph / "AgeNet_mean.npy")
    net = deploy_net(str(graph / "AgeNet.prototxt"), str(graph / "AgeNet.caffemodel"))
    for row in told:
        picture = cv2.resize(cv2.imread(row["image"]), (20, 20)).astype(np.float32)  # blue first, as trained
        net.blobs["data"].data[0] = picture.transpose(2, 0, 1) - mean
        expected = net.forward()["prob"][0]
        assert np.abs(np.array(row["answers"]["AgeNet"]["probabilities"]) - expected).max() < 1e-5
        assert row["answers"]["AgeNet"]["label"] == str(expected.argmax())


def test_compat_is_rgb_with_the_channel_mean_of_the_bgr_mean(graph, capsys):
    path = graph / "pictures" / "0.png"
    assert _run(graph, "--image_path", path, "--compat", "--json", "--device", "CPU") == 0
    told = _answers(capsys)[0]
    mean = np.load(graph / "AgeNet_mean.npy").mean((1, 2))
    net = deploy_net(str(graph / "AgeNet.prototxt"), str(graph / "AgeNet.caffemodel"))
    rgb = cv2.resize(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), (20, 20)).astype(np.float32)
    net.blobs["data"].data[0] = (rgb - mean).transpose(2, 0, 1)
    expected = net.forward()["prob"][0]
    assert np.abs(np.array(told["answers"]["AgeNet"]["probabilities"]) - expected).max() < 1e-5


def test_text_is_the_originals(graph, capsys):
    assert (
        _run(
            graph,
            "--image_path",
            graph / "pictures" / "0.png",
            "--mean_file",
            graph / "AgeNet_mean.npy",
            "--device",
            "CPU",
        )
        == 0
    )
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Age predicted: ") and lines[1].startswith("Gender predicted: ")
    label, percent = lines[1][len("Gender predicted: ") :].split(", ")
    assert label in ("Male", "Female") and percent.endswith("%") and 50 <= float(percent[:-1]) <= 100
    assert "Running on CPU" in err


def test_table_and_drawing(graph, tmp_path, capsys):
    assert (
        _run(
            graph,
            "--image_path",
            graph / "pictures" / "0.png",
            "--csv",
            tmp_path / "t.csv",
            "--output",
            tmp_path / "a.png",
            "--verbose",
            "--device",
            "CPU",
        )
        == 0
    )
    assert (tmp_path / "t.csv").read_text().splitlines()[
        0
    ] == "image,AgeNet,AgeNet probability,GenderNet,GenderNet probability"
    drawn = cv2.imread(str(tmp_path / "a.png"))
    assert drawn.shape[1] == 240 and drawn.shape[0] > 240
    assert "Execution time (AgeNet): " in capsys.readouterr().out


def test_every_fault_has_its_exit_status(graph, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty").mkdir()
    good = graph / "pictures" / "0.png"
    for status, says, argv in (
        (predict.NO_FILE, "no such file", ["--image_path", tmp_path / "none.jpg"]),
        (predict.NO_FILE, "holds no picture", ["--image_path", tmp_path / "empty"]),
        (predict.NO_FILE, "nothing matches", ["--image_path", str(tmp_path / "*.gif")]),
        (predict.NO_PICTURE, "not an image", ["--image_path", tmp_path / "text.jpg"]),
        (predict.NO_FACE, "hold no face", ["--image_path", tmp_path / "small.png"]),
        (predict.NO_MODEL, "compile2Movidius.sh", ["--image_path", good, "--model-dir", tmp_path]),
        (predict.NO_DEVICE, "No devices found", ["--image_path", good, "--device", "GPU"]),
        (predict.NO_DEVICE, "No devices found", ["--image_path", good, "--device", "MYRIAD"]),
    ):
        assert _run(graph, *argv) == status, argv
        error = capsys.readouterr().err
        assert says in error and error.count("error:") == 1, error


def test_the_pictures_before_a_broken_one_are_told(graph, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no picture")
    good = graph / "pictures" / "0.png"
    assert (
        _run(graph, "--image_path", good, tmp_path / "text.jpg", good, "--json", "--device", "CPU")
        == predict.NO_PICTURE
    )
    assert len(_answers(capsys)) == 1


def test_verb_module_has_what_the_script_needs():
    assert verb.__doc__.startswith("Tell age and gender")


def test_nets_whose_faces_had_a_margin_get_the_border_repeated():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    wide = predict.with_margin(picture, 0.4)
    assert wide.shape == (36, 54, 3) and (wide[8:28, 12:42] == picture).all()
    assert (wide[:9, :13] == picture[0, 0]).all() and (wide[-9:, -13:] == picture[-1, -1]).all()
    assert predict.with_margin(picture, 0.0) is picture


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Nets of one question: two number genders in different orders, two tell ages in different classes."""
    folder = tmp_path_factory.mktemp("several")
    nets = {
        "OneGender": ["Male", "Female"],
        "OtherGender": ["Female", "Male"],
        "OneAge": list("01"),
        "OtherAge": list("0123"),
    }
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compiled_nets(folder, compiled_nets.transform(mean, scale=1 / 64), nets)
    (folder / "pictures").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (20, 20, 3), np.uint8)
        cv2.imwrite(str(folder / "pictures" / ("%d.png" % i)), noise)
    return folder


def test_the_mirror_image_is_asked_as_well(several, capsys):
    """The witness is our Net, fed what the Transform makes and the same mirrored, as Caffe's oversampling mirrors."""
    command = ["--image_path", several / "pictures", "--net", "OtherAge"]
    assert _run(several, *command, "--flip", "--device", "CPU", "--json") == 0
    told = _answers(capsys)
    mean = np.load(several / "OtherAge_mean.npy")
    net = deploy_net(str(several / "OtherAge.prototxt"), str(several / "OtherAge.caffemodel"))
    for row in told:
        blob = (cv2.imread(row["image"]).astype(np.float32).transpose(2, 0, 1) - mean) / 64
        said = []
        for fed in (blob, blob[:, :, ::-1]):
            net.blobs["data"].data[0] = fed
            said.append(net.forward()["prob"][0].copy())
        assert np.abs(said[0] - said[1]).max() > 1e-3
        assert np.abs(np.array(row["answers"]["OtherAge"]["probabilities"]) - (said[0] + said[1]) / 2).max() < 1e-5


def test_nets_of_one_question_answer_together(several, tmp_path, capsys):
    command = ["--image_path", several / "pictures", "--device", "CPU"]
    command += [word for name in ("OneGender", "OtherGender", "OneAge") for word in ("--net", name)]
    assert _run(several, *command, "--json") == 0
    alone = [row["answers"] for row in _answers(capsys)]
    assert _run(several, *command, "--ensemble", "--json", "--csv", tmp_path / "t.csv") == 0
    both = [row["answers"] for row in _answers(capsys)]
    for one, mean in zip(alone, both):
        assert list(mean) == ["gender", "age"]
        male = (one["OneGender"]["probabilities"][0] + one["OtherGender"]["probabilities"][1]) / 2
        assert mean["gender"]["probabilities"] == pytest.approx([male, 1 - male], abs=1e-6)
        assert mean["gender"]["label"] == ("Male" if male > 0.5 else "Female")
        assert mean["age"]["probabilities"] == pytest.approx(one["OneAge"]["probabilities"])
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "image,gender,gender probability,age,age probability" and len(lines) == 4
    assert _run(several, *command, "--ensemble", "--batch", 1) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("Gender predicted: ")


def test_nets_of_different_classes_cannot(several, capsys):
    command = ["--image_path", several / "pictures", "--net", "OneAge", "--net", "OtherAge"]
    assert _run(several, *command, "--ensemble", "--device", "CPU") == 2
    assert "OtherAge tells age in other classes than OneAge; they cannot answer together" in capsys.readouterr().err
