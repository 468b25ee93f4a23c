"""Temperatures: scaled probabilities are the softmax of divided logits; intervals hold the stated probability."""

import json

import cv2
import numpy as np
import pytest
from scipy import stats
from support import compiled_nets

from agegender.inference import calibration, net_predictor, results
from caffe.utils.cli import commands
from ncs.runtime.manifest import Manifest


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.7, 4.0])
def test_scaled_equals_the_softmax_of_divided_logits(temperature):
    logits = np.random.default_rng(0).normal(0, 2, (5, 7))
    assert np.allclose(calibration.scaled(softmax(logits), temperature), softmax(logits / temperature), atol=1e-12)


def test_temperature_one_changes_nothing_and_zeros_stay_finite():
    rows = np.array([[0.0, 1.0]], np.float32)
    assert calibration.scaled(rows, 1.0) is rows
    assert np.isfinite(calibration.scaled(rows, 3.0)).all() and calibration.scaled(rows, 3.0).dtype == np.float32


@pytest.mark.parametrize("deviation", [3.0, 8.0])
def test_the_interval_of_a_normal_distribution_is_its_standard_deviation(deviation):
    rows = stats.norm.pdf(np.arange(101), 50, deviation)
    assert calibration.interval_years(rows / rows.sum()) == pytest.approx(stats.norm.ppf(0.84) * deviation, rel=0.02)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A folder with a small AgeNet and GenderNet and one image."""
    folder = tmp_path_factory.mktemp("graph")
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform(np.full((3, 20, 20), 110, np.float32)))
    cv2.imwrite(str(folder / "face.png"), np.random.default_rng(1).integers(0, 255, (30, 26, 3), np.uint8))
    return folder


def run(graph, *argv):
    argv = ["--model-dir", str(graph), "--image_path", str(graph / "face.png"), "--no-framing-check", *argv]
    assert commands.run_command("agegender.cli", "predict", "run_inference.py", argv) == 0


@pytest.mark.parametrize("device", ["CPU", "ONNXRUNTIME", "CAFFE"])
def test_every_runner_applies_the_temperature_of_the_manifest(graph, device, capsys):
    path = str(graph / "AgeNet.json")
    manifest = Manifest.read(path)
    run(graph, "--json", "--device", device)
    plain = json.loads(capsys.readouterr().out)["answers"]["AgeNet"]["probabilities"]
    manifest.temperature = 2.5
    manifest.write(path)
    try:
        run(graph, "--json", "--device", device)
    finally:
        manifest.temperature = 1.0
        manifest.write(path)
    received = json.loads(capsys.readouterr().out)["answers"]["AgeNet"]["probabilities"]
    assert np.allclose(received, softmax(np.log(plain) / 2.5), atol=1e-5)
    assert np.abs(np.array(received) - plain).max() > 1e-3


def test_labels_below_the_minimum_confidence_are_unsure(graph, capsys):
    run(graph, "--device", "CPU")
    lines = capsys.readouterr().out
    run(graph, "--device", "CPU", "--min-confidence", "0")
    assert capsys.readouterr().out == lines and "unsure" not in lines
    answers = json_answers(graph, capsys)
    between = (answers["AgeNet"]["probability"] + answers["GenderNet"]["probability"]) / 2
    least = min(answers, key=lambda name: answers[name]["probability"])
    received = json_answers(graph, capsys, "--min-confidence", str(between))
    assert {name: "confident" in answer for name, answer in received.items()} == {
        name: name == least for name in answers
    }
    assert received[least]["label"] == "unsure" and received[least]["confident"] is False


def json_answers(graph, capsys, *argv):
    run(graph, "--device", "CPU", "--json", *argv)
    return json.loads(capsys.readouterr().out)["answers"]


@pytest.mark.parametrize("value", ["1.5", "-1", "nan", "much"])
def test_a_confidence_that_is_no_probability_is_rejected(graph, value, capsys):
    with pytest.raises(SystemExit):
        run(graph, "--min-confidence", value)
    assert f"expected a probability from 0 to 1, received '{value}'" in capsys.readouterr().err


class Years:
    """A runner of a net of single years: a normal distribution around 34."""

    def run(self, blobs):
        rows = stats.norm.pdf(np.arange(101), 34, 7)
        return np.repeat((rows / rows.sum())[None], len(blobs), 0)


def test_an_age_is_given_with_an_interval(graph):
    manifest = Manifest.read(str(graph / "AgeNet.json"))
    manifest.labels, manifest.label_set = [str(year) for year in range(101)], "age-101-decades"
    net = net_predictor.NetPredictor(manifest, Years(), style=results.Style(age_interval=True))
    output = net.output(net.probabilities(np.zeros((1, 3, 20, 20)))[0])
    assert (output.text, output.probability) == ("34 ± 7 years", 0.68)
    assert output.interval == pytest.approx(7, abs=0.1)
    unsure = net_predictor.NetPredictor(manifest, Years(), style=results.Style(0.9, age_interval=True))
    assert unsure.output(unsure.probabilities(np.zeros((1, 3, 20, 20)))[0]).text == "unsure"
