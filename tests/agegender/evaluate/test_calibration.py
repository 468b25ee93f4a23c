"""Calibration error and fitted temperatures agree with their definitions and with known distributions."""

import json

import numpy as np
import pytest

from agegender.errors import AgeGenderError
from agegender.evaluate import calibration, evaluate
from agegender.zoo import temperatures


def drawn(temperature, count=20000, classes=5):
    """Probabilities whose truth was drawn from the same logits at `temperature`."""
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 2, (count, classes))
    truth = (logits / temperature + rng.gumbel(size=logits.shape)).argmax(1)
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True), truth


def test_the_error_equals_a_plain_loop():
    rows, truth = drawn(1.5, 500)
    expected, total = 0.0, 0
    for low in range(10):
        members = [i for i in range(500) if low / 10 <= max(rows[i]) < (low + 1) / 10]
        total += len(members)
        if members:
            confidence = sum(max(rows[i]) for i in members) / len(members)
            accuracy = sum(int(np.argmax(rows[i]) == truth[i]) for i in members) / len(members)
            expected += len(members) / 500 * abs(confidence - accuracy)
    assert total == 500
    assert calibration.expected_calibration_error(rows, truth) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
def test_the_temperature_of_the_labels_is_found(temperature):
    rows, truth = drawn(temperature)
    fitted = calibration.fit_temperature(rows, truth)
    assert fitted == pytest.approx(temperature, rel=0.05)
    assert calibration.expected_calibration_error(calibration.scaled(rows, fitted), truth) < 0.015


def test_faces_of_weight_zero_do_not_count():
    rows, truth = drawn(2.0)
    weights = np.ones(len(rows))
    truth[:5000], weights[:5000] = 0, 0
    assert calibration.fit_temperature(rows, truth, weights=weights) == pytest.approx(2.0, rel=0.05)


def test_temperatures_are_written_and_read(tmp_path):
    weights = str(tmp_path / "net.caffemodel")
    assert temperatures.of(weights) == {}
    temperatures.write(weights, {"age": 1.23456, "gender": 0.9}, 7)
    assert temperatures.of(weights) == {"age": 1.2346, "gender": 0.9}


@pytest.mark.parametrize("text", ["", "[1]", '{"temperature": {"age": -1}}', '{"temperature": {"age": "x"}}'])
def test_damaged_temperatures_are_an_error(tmp_path, text):
    (tmp_path / "net.calibration.json").write_text(text)
    with pytest.raises(AgeGenderError, match="expected"):
        temperatures.of(str(tmp_path / "net.caffemodel"))


def test_metrics_contain_the_error_of_the_classes():
    from agegender import zoo

    net = zoo.resolve("compact-gender")[0]
    rows, truth = drawn(2.0, 1000, 2)
    metrics = evaluate.compute_metrics(net, rows, {"age_class": truth, "sex": truth, "age": truth})
    assert metrics["ece"] == pytest.approx(calibration.expected_calibration_error(rows, truth))
    assert json.dumps(metrics)
