"""The files of a report on synthetic predictions, with images from an LMDB."""

import csv
import hashlib
import json
import types

import cv2
import numpy as np
import pytest

from agegender.evaluate import confusion, report
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST
from caffe.data import datum
from caffe.data.db import create_db

from .test_confusion import AGE


@pytest.fixture
def evaluated(tmp_path):
    """(net, scores, LMDB): twelve faces, keys in order, grey value 20 * index; 3 are misclassified."""
    truth = np.array([0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 8, 8])
    predicted = np.array([0, 0, 1, 2, 2, 2, 5, 3, 4, 5, 8, 0])
    rng = np.random.default_rng(1)
    probabilities = rng.uniform(0, 0.05, (12, 9)).astype(np.float32)
    probabilities[np.arange(12), predicted] = 0.5 + 0.04 * np.arange(12)
    keys = [b"%08d_./data/f %d.jpg" % (k, k) for k in range(12)]
    with create_db(str(tmp_path / "lmdb")) as writer:
        for k, key in enumerate(keys):
            writer.put(key, datum.encode(np.full((3, 10, 10), 20 * k, np.uint8), int(truth[k])))
    scores = types.SimpleNamespace(keys=keys, truth=truth, predicted=predicted, probabilities=probabilities)
    net = types.SimpleNamespace(name="AgeNet", task="age", labels=AGE_TRINGN)
    return net, scores, str(tmp_path / "lmdb")


def write_report(evaluated, folder):
    net, scores, database = evaluated
    text = confusion.format_matrix(confusion.count(scores.truth, scores.predicted, 9), AGE_TRINGN.names)
    weights = folder.parent / "w.caffemodel"
    weights.write_bytes(b"weights")
    return report.write(folder, net, scores, text, weights=weights, database=database), text


def test_all_files_exist_and_agree(evaluated, tmp_path):
    summary, text = write_report(evaluated, tmp_path / "report")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert " ".join(sorted(names)) == (
        ".made.json confusion.csv confusion.png confusion.txt mistakes.png per_class.csv predictions.csv reliability.png "
        "report.html report.json"
    )
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == summary
    assert (tmp_path / "report" / "confusion.txt").read_text() == text
    assert summary["corrects"] == 9 and summary["total"] == 12 and summary["accuracy"] == 0.75
    assert summary["weights"]["sha256"] == hashlib.sha256(b"weights").hexdigest()


def test_csv_files_contain_the_counts(evaluated, tmp_path):
    write_report(evaluated, tmp_path / "report")

    def rows(name):
        with open(tmp_path / "report" / name, newline="") as stream:
            return list(csv.reader(stream))

    matrix = rows("confusion.csv")
    assert matrix[0] == ["actual\\predicted", *AGE_TRINGN.names]
    counted = confusion.count(evaluated[1].truth, evaluated[1].predicted, 9)
    assert np.array_equal(np.array([row[1:] for row in matrix[1:]], int), counted)
    by_class = rows("per_class.csv")
    assert by_class[0] == ["class", "support", "predicted", "precision", "recall", "f1"]
    assert by_class[7] == ["60-69", "0", "0", "", "", ""]
    predictions = rows("predictions.csv")
    assert predictions[12][:3] == ["00000011_./data/f 11.jpg", "80-120", "0-9"]
    assert float(predictions[12][3]) == pytest.approx(0.94, abs=1e-6)


def test_mistakes_are_sorted_by_confidence_and_shown_with_their_images(evaluated, tmp_path):
    assert report.worst_mistakes(evaluated[1]) == [11, 6, 3]
    write_report(evaluated, tmp_path / "report")
    sheet = cv2.imread(str(tmp_path / "report" / "mistakes.png"))
    assert sheet.shape == (190, 3 * 150, 3)
    assert [int(sheet[75, 75 + 150 * k, 0]) for k in range(3)] == [220, 120, 60]


def test_the_matrix_plot_is_an_image(evaluated, tmp_path):
    write_report(evaluated, tmp_path / "report")
    assert cv2.imread(str(tmp_path / "report" / "confusion.png")).std() > 10


def test_a_report_without_mistakes(evaluated, tmp_path):
    net, scores, database = evaluated
    scores.predicted = scores.truth
    summary = report.write(tmp_path / "report", net, scores, "text", database=database)
    assert summary["accuracy"] == 1.0 and summary["weights"] is None
    assert cv2.imread(str(tmp_path / "report" / "mistakes.png")) is not None


def test_summary_of_the_published_matrix():
    summary = report.summary(AGE, AGE_TRINGN)
    assert (summary["corrects"], summary["total"], summary["majority_class"]) == (457, 687, "20-29")
    assert summary["one_off_accuracy"] == 619 / 687
    assert summary["accuracy_95"][0] < summary["accuracy"] < summary["accuracy_95"][1]
    centres = [4.5, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5, 100]
    years = sum(AGE[i, j] * abs(centres[i] - centres[j]) for i in range(9) for j in range(9)) / 687
    assert summary["mean_absolute_error_of_class_centre_years"] == pytest.approx(years)


def test_gender_has_no_one_off_accuracy():
    summary = report.summary(np.array([[3, 1], [0, 2]]), MALE_FIRST)
    assert "one_off_accuracy" not in summary and "mean_absolute_error_of_class_centre_years" not in summary
