"""run_inference.py --detect: every face told as text, JSON, table and picture, by what the nets say of the aligned chip."""

import csv
import json
import os
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from support import compiled_nets, composite_photographs

from agegender.inference import detect, output_formats, predict
from caffe.utils import commands
from ncs.compiler.compile import deploy_net
from ncs.runtime.manifest import Manifest

PLACES = [(40, 60, 160, 12), (330, 100, 260, -8), (250, 20, 90, 0)]
# Where a test says the landmarks of its training lay, and the margin it asks for.
TEMPLATE = ((0.36, 0.42), (0.62, 0.42), (0.5, 0.55), (0.4, 0.66), (0.6, 0.66))
MARGIN = 0.25


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Small nets, a photograph of three faces and one of none."""
    folder = tmp_path_factory.mktemp("graph")
    mean = np.random.default_rng(0).uniform(90, 130, (3, 20, 20)).astype(np.float32)
    compiled_nets.compiled(folder, compiled_nets.transform(mean, margin=MARGIN, landmarks=TEMPLATE))
    picture, _ = composite_photographs.photograph(640, 480, PLACES)
    cv2.imwrite(str(folder / "group.png"), picture)
    cv2.imwrite(str(folder / "nobody.png"), composite_photographs.background(320, 240, 4))
    return folder


def run(graph, *argv):
    command = ["--detect", "--device", "CPU", "--model-dir", str(graph), *map(str, argv)]
    return commands.run_command("agegender.cli", "predict", "run_inference.py", command)


def told(graph, capsys, *argv):
    assert run(graph, "--json", *argv) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def net_says(graph, name, chip):
    """What our own Net makes of a chip, by the manifest's mean."""
    net = deploy_net(str(graph / (name + ".prototxt")), str(graph / (name + ".caffemodel")))
    picture = cv2.resize(chip, (20, 20)).astype(np.float32)
    net.blobs["data"].data[0] = picture.transpose(2, 0, 1) - np.load(graph / (name + "_mean.npy"))
    return net.forward()["prob"][0]


def expected_chip(picture, landmarks):
    """The upright chip, 300 pixels a side, by NumPy's least squares and one warp."""
    rows, values = [], []
    for (x, y), (u, v) in zip(landmarks, TEMPLATE):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [200 * (u + MARGIN), 200 * (v + MARGIN)]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    assert np.hypot(a, b) > 0.67  # small faces, so that nothing is averaged down
    matrix = np.array([[a, -b, c], [b, a, d]])
    return cv2.warpAffine(picture, matrix, (300, 300), borderMode=cv2.BORDER_REPLICATE)


def test_each_answer_is_what_the_net_says_of_the_aligned_face(graph, capsys):
    (photo,) = told(graph, capsys, "--image_path", graph / "group.png")
    assert photo["image"] == str(graph / "group.png") and len(photo["faces"]) == 3
    picture = cv2.imread(photo["image"])
    for face, found in zip(photo["faces"], detect.Detector().find(picture)):
        assert tuple(face["box"]) == found.box and face["score"] == pytest.approx(found.score, abs=1e-4)
        landmarks = np.array([face["landmarks"][name] for name in output_formats.LANDMARKS])
        assert np.abs(landmarks - found.landmarks).max() < 0.01
        chip = expected_chip(picture, found.landmarks)
        for name in ("AgeNet", "GenderNet"):
            assert np.abs(np.array(face["answers"][name]["probabilities"]) - net_says(graph, name, chip)).max() < 2e-4
    widths = [face["box"][2] - face["box"][0] for face in photo["faces"]]
    assert widths == sorted(widths, reverse=True)  # the largest is Box 0


def test_the_squared_box_is_cut_as_the_onnx_zoos_scripts_cut_it(graph, capsys):
    (photo,) = told(graph, capsys, "--image_path", graph / "group.png", "--crop", "box", "--margin", "0")
    picture = cv2.imread(photo["image"])
    for face in photo["faces"]:
        left, top, right, bottom = face["box"]
        more = int((bottom - top - (right - left)) / 2)
        chip = picture[top:bottom, left - more : right + more]
        assert (
            np.abs(np.array(face["answers"]["AgeNet"]["probabilities"]) - net_says(graph, "AgeNet", chip)).max() < 2e-4
        )


def test_text_is_a_line_a_face(graph, capsys):
    assert run(graph, "--image_path", graph / "group.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        assert re.fullmatch(r"Box %d --> (Male|Female), [0-8]" % number, line), line
    assert run(graph, "--image_path", graph / "group.png", "--net", "GenderNet", "--verbose") == 0
    out = capsys.readouterr().out
    assert re.search(r"^Box 2 --> (Male|Female)$", out, re.M) and "Execution time (detect): " in out


def test_table_and_picture(graph, tmp_path, capsys):
    argv = ["--image_path", graph / "group.png", "--csv", tmp_path / "t.csv", "--output", tmp_path / "drawn.png"]
    before = (graph / "group.png").read_bytes()
    assert run(graph, *argv) == 0
    printed = capsys.readouterr().out.splitlines()
    with open(tmp_path / "t.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = detect.Detector().find(cv2.imread(str(graph / "group.png")))
    assert [int(row["face"]) for row in rows] == [0, 1, 2]
    for row, face, line in zip(rows, found, printed):
        assert tuple(int(row[side]) for side in ("left", "top", "right", "bottom")) == face.box
        assert abs(float(row["left_eye_x"]) - face.landmarks[0, 0]) < 0.01
        assert abs(float(row["right_mouth_y"]) - face.landmarks[4, 1]) < 0.01
        assert (
            line.endswith("{}, {}".format(row["GenderNet"], row["AgeNet"]))
            and 0 < float(row["AgeNet probability"]) <= 1
        )
    drawn, plain = cv2.imread(str(tmp_path / "drawn.png")), cv2.imread(str(graph / "group.png"))
    assert drawn.shape == plain.shape and (graph / "group.png").read_bytes() == before
    changed = (drawn != plain).any(2)
    for face in found:
        left, top, right, bottom = face.box
        assert changed[top:bottom, left].mean() > 0.9 and changed[top:bottom, right].mean() > 0.9
        assert changed[bottom, left:right].mean() > 0.9 and changed[top - 12 : top, left : left + 30].mean() > 0.5
    assert not changed[-3:].any()


def test_folders_tell_every_picture_and_fail_only_without_any_face(graph, tmp_path, capsys):
    both = ["--image_path", graph / "nobody.png", graph / "group.png"]
    assert run(graph, *both, "--output", tmp_path / "drawn") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [str(graph / "nobody.png"), str(graph / "group.png")] and len(out.splitlines()) == 5
    assert "nobody.png: no face was found" in err
    assert sorted(os.listdir(tmp_path / "drawn")) == ["group.png", "nobody.png"]
    assert [len(photo["faces"]) for photo in told(graph, capsys, *both)] == [0, 3]
    assert run(graph, "--image_path", graph / "nobody.png") == predict.NO_FACE
    err = capsys.readouterr().err
    assert "nobody.png: no face was found; a lower --threshold" in err and "--min-face" in err
    assert run(graph, "--image_path", graph / "nobody.png", graph / "nobody.png") == predict.NO_FACE
    assert "2 pictures: no face" in capsys.readouterr().err


def test_the_drawn_copy_never_takes_the_pictures_place(graph, capsys):
    assert run(graph, "--image_path", graph / "group.png", "--output", graph / "group.png") == 1
    assert "would replace the picture itself" in capsys.readouterr().err


def test_pictures_of_one_name_keep_their_folders(graph, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes((graph / "group.png").read_bytes())
    assert run(graph, "--image_path", tmp_path, "--output", tmp_path / "out") == 0
    assert (tmp_path / "out" / "a" / "x.png").is_file() and (tmp_path / "out" / "b" / "x.png").is_file()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_camera_held_sideways(graph, tmp_path, capsys, orientation):
    """The EXIF orientation is that of phones: boxes and faces are told of the picture as it is shown."""
    picture = cv2.imread(str(graph / "group.png"))
    turned = np.rot90(picture, {3: 2, 6: 1, 8: 3}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned[..., ::-1])).save(tmp_path / "p.jpg", exif=exif, quality=95)
    (photo,) = told(graph, capsys, "--image_path", tmp_path / "p.jpg")
    (plain,) = told(graph, capsys, "--image_path", graph / "group.png")
    assert len(photo["faces"]) == 3
    for one, other in zip(photo["faces"], plain["faces"]):
        assert np.abs(np.array(one["box"]) - other["box"]).max() <= 5


def test_grey_transparent_deep_tiny_and_huge_pictures(graph, tmp_path, capsys):
    picture = cv2.imread(str(graph / "group.png"))
    kinds = {
        "grey.png": cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
        "rgba.png": np.dstack([picture, np.full(picture.shape[:2], 128, np.uint8)]),
        "deep.png": picture.astype(np.uint16) * 257,
        "huge.jpg": cv2.resize(picture, (5120, 3840), interpolation=cv2.INTER_CUBIC),
    }
    for name, kind in kinds.items():
        cv2.imwrite(str(tmp_path / name), kind)
        (photo,) = told(graph, capsys, "--image_path", tmp_path / name)
        assert len(photo["faces"]) == 3, name
    cv2.imwrite(
        str(tmp_path / "tiny.png"), cv2.resize(picture[100:360, 330:590], (48, 48), interpolation=cv2.INTER_AREA)
    )
    (photo,) = told(graph, capsys, "--image_path", tmp_path / "tiny.png")
    assert len(photo["faces"]) == 1
    cv2.imwrite(str(tmp_path / "dot.png"), picture[:16, :16])
    assert run(graph, "--image_path", tmp_path / "dot.png") == predict.NO_FACE


def test_wrong_settings_are_told(graph, capsys):
    for option, value in (("--threshold", 2), ("--min-face", 0), ("--margin", -1)):
        assert run(graph, "--image_path", graph / "group.png", option, value) != 0
        assert "error: " in capsys.readouterr().err


def test_the_help_tells_the_defaults(capsys):
    with pytest.raises(SystemExit):
        commands.run_command("agegender.cli", "predict", "run_inference.py", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default {detect.THRESHOLD:g})" in text
    assert "a %dth of the longer side, at least %d)" % (detect.SHARE, detect.LEAST) in text


def test_years_and_several_nets_of_a_task_in_one_line():
    answers = [("g", "Female", "gender"), ("a", "31.4", "age"), ("b", "(25, 32)", "age"), ("odd", "x", "")]
    told = predict.Prediction("", {net: predict.NetOutput(net, text, 1.0, [], task) for net, text, task in answers})
    assert output_formats.line(3, told) == "Box 3 --> Female, 31.4/(25, 32)/x"


def test_heads_know_what_they_are_asked(graph):
    tasks = {
        name: predict.NetPredictor(Manifest.read(str(graph / (name + ".json"))), None).task
        for name in ("AgeNet", "GenderNet")
    }
    assert tasks == {"AgeNet": "age", "GenderNet": "gender"}
