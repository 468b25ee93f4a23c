"""Metrics of a report against scikit-learn, SciPy and plain loops."""

import csv

import numpy as np
import pytest
import scipy.stats
from support import workbench_root as wr

from agegender.errors import AgeGenderError
from agegender.workbench.server import evaluation


@pytest.fixture
def report(trained_root):
    return evaluation.read(str(trained_root / wr.EVALUATION))


def random_report(seed, classes=4, count=300, skill=2.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, classes))
    logits[np.arange(count), truth] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = [f"class {i}" for i in range(classes)]
    keys = [f"{i:05d}" for i in range(count)]
    return evaluation.Report({"labels": names, "accuracy": 0}, keys, truth, probabilities.argmax(1), probabilities)


def test_report_is_its_files(report, trained_root):
    with open(trained_root / wr.EVALUATION / "predictions.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert report.keys == [row["key"] for row in rows]
    assert [report.labels[i] for i in report.truth] == [row["actual"] for row in rows]
    assert report.matrix.tolist() == report.summary["matrix_rows_true_columns_predicted"]


def test_every_image_is_in_exactly_one_cell():
    report = random_report(1)
    rows = [row for t in range(4) for p in range(4) for row in report.cell(t, p)]
    assert sorted(rows) == list(range(300))
    cell = report.cell(1, 2)
    assert len(cell) == report.matrix[1, 2]
    assert [report.probabilities[row].max() for row in cell] == sorted(
        (report.probabilities[row].max() for row in cell), reverse=True
    )


def test_metrics_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    report = random_report(2)
    expected = metrics.precision_recall_fscore_support(report.truth, report.predicted)
    for number, row in enumerate(evaluation.per_class(report)):
        found = [row["precision"], row["recall"], row["f1"], row["support"]]
        np.testing.assert_allclose(found, [values[number] for values in expected])
    assert report.matrix.tolist() == metrics.confusion_matrix(report.truth, report.predicted).tolist()


def test_interval_is_scipys_wilson():
    for correct, total in [(0, 5), (3, 10), (50, 178), (7, 7)]:
        expected = scipy.stats.binomtest(correct, total).proportion_ci(0.95, "wilson")
        np.testing.assert_allclose(evaluation.wilson(correct, total), [expected.low, expected.high], atol=1e-6)


def test_mcnemar_is_scipys_binomial_test():
    for fixed, broken in [(0, 0), (5, 5), (1, 9), (20, 3)]:
        expected = scipy.stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
        assert evaluation.mcnemar(fixed, broken) == pytest.approx(expected)


def test_calibration_is_a_plain_loop():
    report = random_report(3)
    confidence, correct = report.probabilities.max(1), report.truth == report.predicted
    error = 0.0
    for number in range(10):
        rows = [i for i in range(300) if number / 10 <= confidence[i] < (number + 1) / 10]
        if rows:
            error += len(rows) / 300 * abs(np.mean(correct[rows]) - np.mean(confidence[rows]))
            assert evaluation.calibration(report)["bins"][number]["count"] == len(rows)
    assert evaluation.calibration(report)["expected_calibration_error"] == pytest.approx(error)


def test_comparison_counts_every_image_once():
    first, second = random_report(4), random_report(4, skill=2.5)
    order = np.random.default_rng(0).permutation(300)  # another order of the same images
    second = evaluation.Report(
        second.summary, [second.keys[i] for i in order], second.truth[order], second.predicted[order],
        second.probabilities[order],
    )  # fmt: skip
    result = evaluation.compare(first, second)
    place = {key: i for i, key in enumerate(second.keys)}
    fixed = sum(
        first.predicted[i] != first.truth[i] and second.predicted[place[key]] == first.truth[i]
        for i, key in enumerate(first.keys)
    )
    assert len(result["fixed"]) == fixed
    assert result["both_right"] + result["both_wrong"] + len(result["fixed"]) + len(result["broken"]) == 300


def test_evaluations_of_other_images_or_classes_are_not_compared():
    first, second = random_report(5), random_report(6)
    second.keys = [key + "x" for key in second.keys]
    with pytest.raises(AgeGenderError, match="no image in common"):
        evaluation.compare(first, second)
    with pytest.raises(AgeGenderError, match="different classes"):
        evaluation.compare(first, random_report(5, classes=3))


@pytest.mark.parametrize("name", ["report.json", "predictions.csv"])
def test_damaged_report_is_an_error(root, name):
    (root / wr.EVALUATION / name).write_text("x" if name == "report.json" else "key,actual,predicted\na,b,c\n")
    with pytest.raises(AgeGenderError, match="damaged"):
        evaluation.read(str(root / wr.EVALUATION))


def test_missing_report_is_an_error(tmp_path):
    with pytest.raises(AgeGenderError, match="No such file"):
        evaluation.read(str(tmp_path))
