"""The manifest: round trip, hashes, and reporting all faults of a file at once."""

import json
import os

import numpy as np
import pytest

from caffe.device.transform import Transform
from ncs.errors import NcsError
from ncs.runtime.manifest import File, Manifest


@pytest.fixture
def manifest(tmp_path):
    mean = np.arange(3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4)
    m = Manifest(
        "AgeNet",
        "data",
        (1, 3, 4, 4),
        "prob",
        Transform(size=(4, 4), mean=mean),
        ["0-9", "10-19"],
        label_set="age-2",
        folder=str(tmp_path),
        tools={"caffe2ncs": "1"},
    )
    (tmp_path / "AgeNet.onnx").write_bytes(b"onnx")
    m.add("onnx", tmp_path / "AgeNet.onnx")
    m.parents["caffemodel"] = File("../models/a.caffemodel", "0" * 64)
    return m


def test_round_trip(manifest, tmp_path):
    manifest.write(tmp_path / "AgeNet.json")
    loaded = Manifest.read(tmp_path / "AgeNet.json")
    assert loaded == manifest
    assert np.array_equal(loaded.transform.mean, manifest.transform.mean)
    assert loaded.path("onnx") == str(tmp_path / "AgeNet.onnx")
    digest = "87e93f89f2be0db364e8be052f79f389e6c2da239831922e24513288af522a43"  # of "onnx", by sha256sum
    assert loaded.artefacts["onnx"].sha256 == digest
    first = (tmp_path / "AgeNet.json").read_bytes()
    loaded.write(tmp_path / "AgeNet.json")
    assert (tmp_path / "AgeNet.json").read_bytes() == first


def test_manifest_moves_with_its_folder(manifest, tmp_path):
    manifest.write(tmp_path / "AgeNet.json")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("AgeNet.json", "AgeNet.onnx", "AgeNet_mean.npy"):
        os.rename(tmp_path / name, moved / name)
    loaded = Manifest.read(moved / "AgeNet.json")
    assert loaded.verify() == [] and loaded.path("onnx") == str(moved / "AgeNet.onnx")


def test_changed_and_missing_files_are_detected(manifest, tmp_path):
    assert manifest.verify() == []
    (tmp_path / "AgeNet.onnx").write_bytes(b"onnX")
    assert manifest.verify() == ["onnx"]
    (tmp_path / "AgeNet.onnx").unlink()
    assert manifest.verify() == ["onnx"]
    with pytest.raises(NcsError, match="AgeNet.onnx: no such file, but the manifest of 'AgeNet' lists it"):
        manifest.path("onnx")
    with pytest.raises(NcsError, match="'AgeNet' has no blob file; it has onnx"):
        manifest.path("blob")


def error_after_edit(manifest, tmp_path, edit):
    manifest.write(tmp_path / "m.json")
    fields = json.loads((tmp_path / "m.json").read_text())
    edit(fields)
    (tmp_path / "m.json").write_text(json.dumps(fields))
    with pytest.raises(NcsError) as fault:
        Manifest.read(tmp_path / "m.json")
    assert str(fault.value).startswith(str(tmp_path / "m.json"))
    return str(fault.value)


@pytest.mark.parametrize(
    "edit, texts",
    [
        (lambda f: f.update(schema=2), ["received schema 2", "expected a manifest of schema 1"]),
        (
            lambda f: (f.pop("labels"), f.update(decoders="argmax")),
            ["unknown field 'decoders'; did you mean 'decoder'", "field 'labels' is missing"],
        ),
        (lambda f: f.update(labels="a", tools=[]), ["'labels': expected a list", "'tools': expected a dict"]),
        (lambda f: f.update(decoder=""), ["expected a name as decoder, such as argmax, received ''"]),
        (lambda f: f["input"].update(shape=[3, 4]), ["expected an input shape (N, C, H, W)"]),
        (lambda f: f["artefacts"].update(blob={"file": "../../etc/passwd", "sha256": ""}), ["is outside"]),
        (lambda f: f["artefacts"].update(blob={"file": "/etc/passwd", "sha256": ""}), ["is outside"]),
        (lambda f: f["artefacts"].update(blob="x"), ["expected 'file' and 'sha256'"]),
        (lambda f: f["transform"].update(order="GBR"), ["order"]),
    ],
)
def test_all_faults_are_reported(manifest, tmp_path, edit, texts):
    message = error_after_edit(manifest, tmp_path, edit)
    for text in texts:
        assert text in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": 1}'])
def test_not_a_manifest(tmp_path, content):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(NcsError, match="m.json: not"):
        Manifest.read(tmp_path / "m.json")
