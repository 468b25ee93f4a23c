"""run_inference.py --detect: predictions for aligned faces as text, JSON, CSV and annotated images."""

import csv
import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image
from support import compiled_nets, composite_photographs

from agegender.inference import image_files, net_predictor, output_formats, results
from agegender.inference.faces import detect, face_settings
from caffe.utils.cli import commands
from ncs.compiler.compile import deploy_net
from ncs.runtime.manifest import Manifest

PLACEMENTS = [(40, 60, 160, 12), (330, 100, 260, -8), (250, 20, 90, 0)]
# Landmarks and margin in the manifests of the test nets.
TEMPLATE = ((0.36, 0.42), (0.62, 0.42), (0.5, 0.55), (0.4, 0.66), (0.6, 0.66))
MARGIN = 0.25


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A folder with small nets, a photograph of three faces and one without faces."""
    folder = tmp_path_factory.mktemp("graph")
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compile_age_and_gender(
        folder, compiled_nets.transform(mean, application=face_settings.settings(MARGIN, TEMPLATE))
    )
    image, _ = composite_photographs.photograph(640, 480, PLACEMENTS)
    cv2.imwrite(str(folder / "group.png"), image)
    cv2.imwrite(str(folder / "no_face.png"), composite_photographs.background(320, 240, 4))
    return folder


def run(graph, *argv):
    command = ["--detect", "--device", "CPU", "--model-dir", str(graph), *map(str, argv)]
    return commands.run_command("agegender.cli", "predict", "run_inference.py", command)


def run_json(graph, capsys, *argv):
    assert run(graph, "--json", *argv) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def net_output(graph, name, chip):
    """Output of caffe.Net for an aligned face, with the manifest's mean."""
    net = deploy_net(str(graph / (name + ".prototxt")), str(graph / (name + ".caffemodel")))
    image = cv2.resize(chip, (20, 20)).astype(np.float32)
    net.blobs["data"].data[0] = image.transpose(2, 0, 1) - np.load(graph / (name + "_mean.npy"))
    return net.forward()["prob"][0]


def max_difference(face, name, expected):
    return np.abs(np.array(face["answers"][name]["probabilities"]) - expected).max()


def expected_chip(image, landmarks):
    """The aligned face of 300x300 pixels by NumPy's least squares and one warp."""
    rows, values = [], []
    for (x, y), (u, v) in zip(landmarks, TEMPLATE):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [200 * (u + MARGIN), 200 * (v + MARGIN)]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    assert np.hypot(a, b) > 0.67  # faces are too small to be averaged
    matrix = np.array([[a, -b, c], [b, a, d]])
    return cv2.warpAffine(image, matrix, (300, 300), borderMode=cv2.BORDER_REPLICATE)


def test_predictions_equal_the_net_on_the_aligned_face(graph, capsys):
    (photo,) = run_json(graph, capsys, "--image_path", graph / "group.png")
    assert photo["image"] == str(graph / "group.png") and len(photo["faces"]) == 3
    image = cv2.imread(photo["image"])
    for face, detected in zip(photo["faces"], detect.Detector().find(image)):
        assert tuple(face["box"]) == detected.box and face["score"] == pytest.approx(detected.score, abs=1e-4)
        landmarks = np.array([face["landmarks"][name] for name in output_formats.LANDMARKS])
        assert np.abs(landmarks - detected.landmarks).max() < 0.01
        chip = expected_chip(image, detected.landmarks)
        for name in ("AgeNet", "GenderNet"):
            assert max_difference(face, name, net_output(graph, name, chip)) < 2e-4
    widths = [face["box"][2] - face["box"][0] for face in photo["faces"]]
    assert widths == sorted(widths, reverse=True)  # the largest is Box 0


def test_crop_box_is_the_squared_box_of_the_onnx_zoo(graph, capsys):
    (photo,) = run_json(graph, capsys, "--image_path", graph / "group.png", "--crop", "box", "--margin", "0")
    image = cv2.imread(photo["image"])
    for face in photo["faces"]:
        left, top, right, bottom = face["box"]
        extra = int((bottom - top - (right - left)) / 2)
        chip = image[top:bottom, left - extra : right + extra]
        assert max_difference(face, "AgeNet", net_output(graph, "AgeNet", chip)) < 2e-4


def test_text_has_one_line_per_face(graph, capsys):
    assert run(graph, "--image_path", graph / "group.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        assert re.fullmatch(rf"Box {number} --> (Male|Female), [0-8]", line), line
    assert run(graph, "--image_path", graph / "group.png", "--net", "GenderNet", "--verbose") == 0
    out = capsys.readouterr().out
    assert re.search(r"^Box 2 --> (Male|Female)$", out, re.M) and "Execution time (detect): " in out


def test_csv_and_annotated_image(graph, tmp_path, capsys):
    argv = ["--image_path", graph / "group.png", "--csv", tmp_path / "t.csv", "--output", tmp_path / "drawn.png"]
    content = (graph / "group.png").read_bytes()
    assert run(graph, *argv) == 0
    lines = capsys.readouterr().out.splitlines()
    with open(tmp_path / "t.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    faces = detect.Detector().find(cv2.imread(str(graph / "group.png")))
    assert [int(row["face"]) for row in rows] == [0, 1, 2]
    for row, face, line in zip(rows, faces, lines):
        assert tuple(int(row[side]) for side in ("left", "top", "right", "bottom")) == face.box
        assert abs(float(row["left_eye_x"]) - face.landmarks[0, 0]) < 0.01
        assert abs(float(row["right_mouth_y"]) - face.landmarks[4, 1]) < 0.01
        assert line.endswith(f"{row['GenderNet']}, {row['AgeNet']}") and 0 < float(row["AgeNet probability"]) <= 1
    annotated, original = cv2.imread(str(tmp_path / "drawn.png")), cv2.imread(str(graph / "group.png"))
    assert annotated.shape == original.shape and (graph / "group.png").read_bytes() == content
    changed = (annotated != original).any(2)
    for face in faces:
        left, top, right, bottom = face.box
        assert changed[top:bottom, left].mean() > 0.9 and changed[top:bottom, right].mean() > 0.9
        assert changed[bottom, left:right].mean() > 0.9 and changed[top - 12 : top, left : left + 30].mean() > 0.5
    assert not changed[-3:].any()


def test_images_without_faces_fail_only_if_all_are(graph, tmp_path, capsys):
    both = ["--image_path", graph / "no_face.png", graph / "group.png"]
    assert run(graph, *both, "--output", tmp_path / "drawn") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [str(graph / "no_face.png"), str(graph / "group.png")] and len(out.splitlines()) == 5
    assert "no_face.png: no face was found" in err
    assert sorted(os.listdir(tmp_path / "drawn")) == ["group.png"]
    assert [len(photo["faces"]) for photo in run_json(graph, capsys, *both)] == [0, 3]
    assert run(graph, "--image_path", graph / "no_face.png") == image_files.NO_FACE
    err = capsys.readouterr().err
    assert "no_face.png: no face was found; a lower --threshold" in err and "--min-face" in err
    assert run(graph, "--image_path", graph / "no_face.png", graph / "no_face.png") == image_files.NO_FACE
    assert "2 images: no face" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output", "--csv"])
def test_an_output_never_overwrites_a_source_image(graph, tmp_path, capsys, option):
    shutil.copy(graph / "group.png", tmp_path / "source.png")
    (tmp_path / "link.png").symlink_to("source.png")
    images = graph / "no_face.png", tmp_path / "source.png"
    assert run(graph, "--image_path", *images, option, tmp_path / "link.png") == image_files.WRONG_OPTIONS
    assert "link.png: this would replace an input file" in capsys.readouterr().err
    assert (tmp_path / "source.png").read_bytes() == (graph / "group.png").read_bytes()
    assert run(graph, "--image_path", graph / "no_face.png", graph / "group.png", "--output", graph) == 1
    assert "would replace the input image" in capsys.readouterr().err


def test_images_of_equal_name_keep_their_folders(graph, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes((graph / "group.png").read_bytes())
    assert run(graph, "--image_path", tmp_path, "--output", tmp_path / "out") == 0
    assert (tmp_path / "out" / "a" / "x.png").is_file() and (tmp_path / "out" / "b" / "x.png").is_file()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_applied(graph, tmp_path, capsys, orientation):
    """Boxes and faces refer to the upright image."""
    image = cv2.imread(str(graph / "group.png"))
    rotated = np.rot90(image, {3: 2, 6: 1, 8: 3}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(rotated[..., ::-1])).save(tmp_path / "p.jpg", exif=exif, quality=95)
    (photo,) = run_json(graph, capsys, "--image_path", tmp_path / "p.jpg")
    (plain,) = run_json(graph, capsys, "--image_path", graph / "group.png")
    assert len(photo["faces"]) == 3
    for one, other in zip(photo["faces"], plain["faces"]):
        assert np.abs(np.array(one["box"]) - other["box"]).max() <= 5


def test_gray_transparent_16_bit_tiny_and_huge_images(graph, tmp_path, capsys):
    image = cv2.imread(str(graph / "group.png"))
    variants = {
        "gray.png": cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
        "rgba.png": np.dstack([image, np.full(image.shape[:2], 128, np.uint8)]),
        "16_bit.png": image.astype(np.uint16) * 257,
        "huge.jpg": cv2.resize(image, (5120, 3840), interpolation=cv2.INTER_CUBIC),
    }
    for name, variant in variants.items():
        cv2.imwrite(str(tmp_path / name), variant)
        (photo,) = run_json(graph, capsys, "--image_path", tmp_path / name)
        assert len(photo["faces"]) == 3, name
    tiny = cv2.resize(image[100:360, 330:590], (48, 48), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "tiny.png"), tiny)
    (photo,) = run_json(graph, capsys, "--image_path", tmp_path / "tiny.png")
    assert len(photo["faces"]) == 1
    cv2.imwrite(str(tmp_path / "dot.png"), image[:16, :16])
    assert run(graph, "--image_path", tmp_path / "dot.png") == image_files.NO_FACE


def test_invalid_options_are_refused(graph, capsys):
    for option, value in (("--threshold", 2), ("--min-face", 0), ("--margin", -1)):
        assert run(graph, "--image_path", graph / "group.png", option, value) != 0
        assert "error: " in capsys.readouterr().err


def test_help_states_the_defaults(capsys):
    with pytest.raises(SystemExit):
        commands.run_command("agegender.cli", "predict", "run_inference.py", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default: {detect.THRESHOLD:g})" in text
    assert f"a {detect.MIN_FACE_DIVISOR}th of the longer side, at least {detect.MIN_FACE_PIXELS})" in text


def test_line_joins_several_nets_of_a_task():
    answers = [("g", "Female", "gender"), ("a", "31.4", "age"), ("b", "(25, 32)", "age"), ("odd", "x", "")]
    outputs = {net: results.NetOutput(net, text, 1.0, [], task) for net, text, task in answers}
    assert output_formats.line(3, results.Prediction("", outputs)) == "Box 3 --> Female, 31.4/(25, 32)/x"


def test_predictors_know_their_task(graph):
    tasks = {
        name: net_predictor.NetPredictor(Manifest.read(str(graph / (name + ".json"))), None).task
        for name in ("AgeNet", "GenderNet")
    }
    assert tasks == {"AgeNet": "age", "GenderNet": "gender"}


def test_photographs_are_predicted_by_the_net_that_knows_people(graph, tmp_path, monkeypatch, capsys):
    """Without nets of the user's own; a net that is named, or another directory, is taken as it is."""
    monkeypatch.chdir(tmp_path)
    photograph = str(graph / "group.png")
    command = ["--detect", "--device", "CPU", "--json", "--image_path", photograph]
    assert commands.run_command("agegender.cli", "predict", "run_inference.py", command) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)["faces"][0]["answers"]) == {"compact-dlib-age", "compact-dlib-gender"}
    assert "graph/ has neither AgeNet nor GenderNet: photographs are predicted by --model compact-dlib" in err
    assert commands.run_command("agegender.cli", "predict", "run_inference.py", [*command, "--net", "AgeNet"]) == 6
    assert run(graph, "--image_path", photograph) == 0
    assert "compact-dlib" not in "".join(capsys.readouterr())
