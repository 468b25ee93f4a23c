"""The main job with nets of full size, few faces and few iterations: every stage, every artefact, and nothing twice.

How well the nets learn is not asked here (docs/results.md); that each stage hands the next what it needs is.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.checkout import ROOT


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """(folder in which the road was gone, what it printed)."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "prototxt").symlink_to(ROOT / "prototxt")
    return folder, run(folder)


def run(folder, *options):
    """Go the road in `folder`; returns standard output."""
    command = [sys.executable, "-m", "agegender", "run", "--count", "90", "--iterations", "2", *options]
    environment = {**os.environ, "GLOG_minloglevel": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_stage_is_gone_and_told(road):
    folder, said = road
    for number in range(1, 10):
        assert "[%d/9]" % number in said
    assert said.count("Confusion matrix:") == 4  # judged, and told again at the end
    assert said.count("Age predicted: ") == 4 and said.count("Gender predicted: ") == 4
    assert "up to date" not in said
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


def test_a_second_run_does_nothing_and_says_the_same_at_the_end(road):
    folder, said = road
    before = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "prototxt" not in path.parts
    }
    again = run(folder)
    assert again.count("up to date") == 9
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert results(again) == results(said)


def results(said):
    """What is told at the end: matrices, artefacts, predictions."""
    return said.rsplit("AgeNet on the test faces", 1)[1].split("The whole road")[0]


def test_only_what_is_out_of_date_is_done_again(road):
    folder, _ = road
    (folder / "graph" / "AgeNet.xml").unlink()
    blob = (folder / "graph" / "AgeNet.blob").read_bytes()
    assert run(folder).count("up to date") == 8
    assert (folder / "graph" / "AgeNet.xml").exists()
    assert (folder / "graph" / "AgeNet.blob").read_bytes() == blob  # the same caffemodel gives the same blob


def test_the_age_blob_is_what_intels_compiler_makes_of_agenet(road):
    from ncs.myriad.blob import read_blob

    blob = read_blob(road[0] / "graph" / "AgeNet.blob")
    assert [(t.name, t.dims) for t in blob.inputs] == [("data", (1, 3, 227, 227))]
    assert [(t.name, t.dims) for t in blob.outputs] == [("prob", (1, 9))]
    assert blob.file_size == 24_583_360
    assert (len(blob.stages), blob.shaves, blob.cmx_slices) == (36, 7, 9)
    assert blob.counts() == {"MyriadXHwOp": 23, "Copy": 7, "Convert": 2, "LRN": 2, "Sum": 1, "SoftMax": 1}


@pytest.mark.parametrize("name", ["AgeNet", "GenderNet"])
def test_openvino_says_what_our_net_says_of_every_test_picture(road, name, monkeypatch):
    from agegender.evaluate import run_inference
    from agegender.nets import NETS
    from ncs.runtime import open_runner
    from ncs.runtime.manifest import Manifest

    monkeypatch.chdir(road[0])
    manifest = Manifest.read(f"graph/{name}.json")
    answers = []
    for device in ("CPU", "CAFFE"):
        with open_runner(device, manifest, batch=10) as runner:
            answers.append(run_inference.score(runner.run, NETS[name].lmdb("test"), manifest.transform).probabilities)
    assert len(answers[0]) > 10
    assert np.abs(answers[0] - answers[1]).max() < 1e-3
