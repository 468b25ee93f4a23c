"""`agegender evaluate --collection`: metrics and tables equal plain loops over the printed predictions."""

import json

import cv2
import numpy as np
import pytest

from agegender.evaluate import collection
from agegender.inference.labels import AGE_TRINGN
from agegender.synthetic_faces import draw
from caffe.utils.cli import commands


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A directory of 30 synthetic faces and the models compiled from the packaged weights."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(30):
        cv2.imwrite(str(folder / f"{3 * i}_{'mf'[i % 2]}_{i}.png"), draw(3 * i, i % 2 == 0, i))
    return folder


def run(command, *argv):
    return commands.run_command("agegender.cli", command, command, list(map(str, argv)))


def test_tables_equal_a_loop_over_the_predictions(faces, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--model", "compact", "--device", "CPU"]
    pattern = "{age}_{gender}_{*}.png"
    argv = ["--collection", faces, "--pattern", pattern, "--json", "out.json", "--out", "out.md", *options]
    assert run("evaluate", *argv) in (0, None)
    printed = capsys.readouterr().out
    assert (tmp_path / "out.md").read_text() == printed
    result = json.loads((tmp_path / "out.json").read_text())["compact"]
    assert run("predict", "--image_path", faces, "--json", "--no-framing-check", *options) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    right, near, errors, women = 0, 0, [], []
    for row in rows:
        age, sex = row["image"].rpartition("/")[2].split("_")[:2]
        predicted = AGE_TRINGN.names.index(row["answers"]["compact-age"]["label"])
        right += predicted == min(int(age) // 10, 8)
        near += abs(predicted - min(int(age) // 10, 8)) <= 1
        errors.append(abs(row["answers"]["compact-age"]["years"] - int(age)))
        if sex == "f":
            women.append(row["answers"]["compact-gender"]["label"] == "Female")
    assert result["faces"] == len(rows) == 30 and result["without_face"] == 0
    assert result["age"]["accuracy"] == pytest.approx(right / 30)
    assert result["age"]["one_off"] == pytest.approx(near / 30)
    assert result["age"]["error_years"] == pytest.approx(np.mean(errors), abs=0.01)
    assert result["gender"]["groups"]["sex"]["Female"]["accuracy"] == pytest.approx(np.mean(women))
    assert f"| {100 * right / 30:.1f} % (" in printed
    assert sum(row["faces"] for row in result["age"]["groups"]["decade and sex"].values()) == 30


def test_copies_of_training_faces_are_left_out(faces, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "x.png").write_bytes((faces / "3_f_1.png").read_bytes())
    argv = ["--collection", faces, "--pattern", "{age}_{gender}_{*}.png", "--json", "out.json", "--device", "CPU"]
    assert run("evaluate", *argv, "--model", "compact", "--exclude-near-duplicates-of", "train") in (0, None)
    assert "1 near-duplicates of train are left out" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.json").read_text())["compact"]["faces"] == 29


def test_the_largest_gap_needs_enough_faces():
    groups = {
        "sex": {"Male": {"faces": 50, "accuracy": 0.9}, "Female": {"faces": 50, "accuracy": 0.7}},
        "decade": {"0-9": {"faces": 19, "accuracy": 0.1}, "10-19": {"faces": 20, "accuracy": 0.95}},
    }
    assert collection.largest_gap(groups) == {"points": pytest.approx(20), "best": "Male", "worst": "Female"}


def test_a_missing_collection_is_an_error(tmp_path, capsys):
    assert run("evaluate", "--collection", tmp_path / "none", "--model", "compact") == 1
    assert "no such directory" in capsys.readouterr().err
