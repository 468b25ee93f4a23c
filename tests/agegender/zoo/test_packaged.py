"""Weights that ship with the package fit their nets, match their cards, and respond to synthetic faces."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from agegender import zoo
from agegender.inference.labels import in_decades
from agegender.synthetic_faces import draw
from agegender.zoo import assemble, download
from caffe.weights.snapshot import read_weights

FOLDER = Path(download.__file__).parent / "weights"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.caffemodel")), ids=lambda path: path.stem)
def test_weights_match_their_card(path):
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    (digest,) = re.findall(r"SHA-256 ([0-9a-f]{64})", card)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    for net in zoo.resolve(path.stem):
        assemble.check(net, read_weights(str(path)))


def test_compact_net_predicts_without_any_training(tmp_path, monkeypatch):
    """The net was not trained on synthetic faces, so the test only requires that predictions vary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))
    net = zoo.nets()["compact-age"]
    deploy = assemble.deploy_net(net, read_weights(download.weights_of(net)))
    images = [draw(age, True, (1, number)) for number in range(8) for age in (1, 40)]
    blob = np.stack([net.transform().image(image) for image in images])
    deploy.blobs["data"].reshape(*blob.shape)
    deploy.blobs["data"].data[...] = blob
    deploy.forward()
    probabilities = np.array(deploy.blobs["prob"].data)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert in_decades(probabilities).shape == (16, 9)
    years = probabilities @ np.arange(101)
    assert np.isfinite(years).all() and years.std() > 1


def test_both_tasks_are_one_net_and_one_inference(tmp_path, monkeypatch):
    """Age and gender of the compiled net equal those of the two deploy nets with one task each, at their temperatures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))
    from agegender.inference.net_predictor import open_heads
    from agegender.zoo.compile import ensure_compiled
    from ncs.runtime import open_runner
    from ncs.runtime.manifest import Manifest

    assert ensure_compiled(["compact"], str(tmp_path / "graph"), lambda text: None) == ["compact"]
    manifest = Manifest.read(tmp_path / "graph" / "compact.json")
    assert [(head.name, head.output) for head in manifest.all_heads()] == [
        ("compact-age", "prob_age"),
        ("compact-gender", "prob_gender"),
    ]
    nets = zoo.resolve("compact")
    blob = np.stack([nets[0].transform().image(draw(30, True, (1, number))) for number in range(4)])
    with open_runner("CPU", manifest) as runner:
        rows = [predictor.probabilities(blob) for predictor in open_heads(manifest, runner)]
    stored = json.loads((FOLDER / "compact.calibration.json").read_text())
    for net, row in zip(nets, rows):
        deploy = assemble.deploy_net(net, read_weights(download.weights_of(net)))
        deploy.blobs["data"].reshape(*blob.shape)
        deploy.blobs["data"].data[...] = blob
        deploy.forward()
        powers = deploy.blobs["prob"].data.astype(np.float64) ** (1 / stored["temperature"][net.task])
        np.testing.assert_allclose(row, powers / powers.sum(1, keepdims=True), atol=1e-4)


GROUPS = sorted({net.weights for net in zoo.nets().values() if len(zoo.resolve(net.weights)) > 1})


@pytest.mark.parametrize("name", GROUPS)
def test_several_images_through_a_net_with_two_outputs(name, tmp_path):
    """OpenVINO changes the batch size, to a fixed and to an open one; every image gets the result that it has alone."""
    from caffe.convert.onnx_export import export_net
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2
    from ncs.runtime import open_runner
    from ncs.runtime.base import Model

    nets = zoo.resolve(name)
    net = Net.from_param(assemble.deploy_param(*nets), caffe_pb2.TEST)
    rng = np.random.default_rng(2)
    for blobs in net.params.values():
        for blob in blobs:
            fan_in = blob.count // blob.shape[0] if len(blob.shape) > 1 else 100
            blob.data[...] = rng.standard_normal(blob.shape) * np.sqrt(2 / fan_in)
        if len(blobs) == 3:  # statistics: mean, variance, factor
            blobs[1].data[...] = 1
            blobs[2].data[...] = 1
    export_net(net, str(tmp_path / "net.onnx"))
    model = Model({"onnx": str(tmp_path / "net.onnx")}, net.outputs[0], outputs=list(net.outputs))
    images = rng.uniform(-1, 1, (5, *nets[0].shape)).astype(np.float32)
    results = []
    for options in ({}, {"batch": 3}, {"max_batch": 4}):
        with open_runner("CPU", model, **options) as runner:
            results.append(runner.run(images))
    assert results[0].shape == (5, sum(len(member.labels) for member in nets)) and np.isfinite(results[0]).all()
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-4)
