"""The quick start with nets of full size, few faces and few iterations: every stage, every artefact, nothing repeated.

How well the nets learn is not tested here (see docs/results.md), only that each stage gives the next what it needs.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.checkout import ROOT


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """(working directory, standard output) of a first run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "prototxt").symlink_to(ROOT / "prototxt")
    return folder, run(folder)


def run(folder, *options):
    """Run the pipeline in `folder`; return standard output."""
    command = [sys.executable, "-m", "agegender", "run", "--count", "90", "--iterations", "2", *options]
    environment = {**os.environ, "GLOG_minloglevel": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_stage_runs(quickstart):
    folder, output = quickstart
    for number in range(1, 10):
        assert f"[{number}/9]" in output
    assert output.count("Confusion matrix:") == 4  # by the test stage, and again at the end
    assert output.count("Age predicted: ") == 4 and output.count("Gender predicted: ") == 4
    assert "up to date" not in output
    for name in ("AgeNet", "GenderNet"):
        for ending in ("onnx", "xml", "bin", "blob", "json"):
            assert (folder / "graph" / (f"{name}.{ending}")).stat().st_size > 0
        report = json.loads((folder / "models" / name / "report" / "report.json").read_text())
        matrix = np.loadtxt(
            folder / "models" / name / "report" / "confusion.csv",
            delimiter=",",
            skiprows=1,
            usecols=range(1, 3),
        )
        assert report and matrix.size


def test_a_second_run_repeats_nothing_and_prints_the_same_results(quickstart):
    folder, output = quickstart
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "prototxt" not in path.parts
    }
    again = run(folder)
    assert again.count("up to date") == 9
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert results(again) == results(output)


def results(output):
    """Return the last part: matrices, artefacts, predictions."""
    return output.rsplit("AgeNet on the test faces", 1)[1].split("The whole pipeline")[0]


def test_only_stale_stages_run_again(quickstart):
    folder, _ = quickstart
    (folder / "graph" / "AgeNet.xml").unlink()
    blob = (folder / "graph" / "AgeNet.blob").read_bytes()
    assert run(folder).count("up to date") == 8
    assert (folder / "graph" / "AgeNet.xml").exists()
    assert (folder / "graph" / "AgeNet.blob").read_bytes() == blob  # the same caffemodel gives the same blob


def test_the_blob_of_agenet_is_as_known(quickstart):
    from ncs.myriad.blob import read_blob

    blob = read_blob(quickstart[0] / "graph" / "AgeNet.blob")
    assert [(t.name, t.dims) for t in blob.inputs] == [("data", (1, 3, 227, 227))]
    assert [(t.name, t.dims) for t in blob.outputs] == [("prob", (1, 9))]
    assert blob.file_size == 24_583_360
    assert (len(blob.stages), blob.shaves, blob.cmx_slices) == (36, 7, 9)
    assert blob.counts() == {"MyriadXHwOp": 23, "Copy": 7, "Convert": 2, "LRN": 2, "Sum": 1, "SoftMax": 1}


@pytest.mark.parametrize("name", ["AgeNet", "GenderNet"])
def test_openvino_agrees_with_our_net_on_every_test_image(quickstart, name, monkeypatch):
    from agegender import workspace, zoo
    from agegender.evaluate.predictions import database_batches, predict_batches
    from ncs.runtime import open_runner
    from ncs.runtime.manifest import Manifest

    monkeypatch.chdir(quickstart[0])
    manifest = Manifest.read(f"graph/{name}.json")
    probabilities = []
    for device in ("CPU", "CAFFE"):
        with open_runner(device, manifest, batch=10) as runner:
            batches = database_batches(workspace.lmdb(zoo.script_net(name).task, "test"), manifest.transform)
            found = predict_batches(lambda blob, runner=runner: {"prob": runner.run(blob)}, batches)
            probabilities.append(found["prob"].probabilities)
    assert len(probabilities[0]) > 10
    assert np.abs(probabilities[0] - probabilities[1]).max() < 1e-3
