"""`ncs bundle`: the bundle predicts as the host does on older Pythons and OpenVINOs."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import composite_photographs, older_python
from support.tiny_manifest import NAMES, compile_tiny

from agegender.inference.faces import detect
from ncs.cli import main
from ncs.errors import NcsError
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

PACKAGES = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]


@pytest.fixture
def folder(tmp_path):
    mean = np.random.RandomState(5).uniform(90, 150, (3, 24, 24)).astype(np.float32)
    manifest = compile_tiny(tmp_path, mean)
    assert main(["bundle", manifest, "-o", str(tmp_path / "bundle")]) == 0
    image = np.random.RandomState(6).randint(0, 256, (40, 30, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), image)
    transform = Manifest.read(manifest).transform
    with open_runner("CPU", manifest) as runner:
        np.save(tmp_path / "expected.npy", runner.run(transform.image(image)[None])[0])
    return tmp_path


def run(python, folder, *arguments):
    """Run the bundle's program without access to this checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [python, "-E", "run_inference.py", *arguments],
        cwd=folder / "bundle",
        env=environment,
        capture_output=True,
        text=True,
    )


def check(python, folder):
    check_detection(python, folder)
    result = run(python, folder, "../p.png", "--device", "CPU", "--json")
    assert result.returncode == 0, result.stderr
    prediction = json.loads(result.stdout)["answers"]["tiny"]
    expected = np.load(folder / "expected.npy")
    np.testing.assert_allclose(prediction["probabilities"], expected, atol=1e-5)
    assert prediction["label"] == NAMES[expected.argmax()]


def check_detection(python, folder):
    """The bundle finds the same faces in a photograph as the host; an image without faces has its own exit status."""
    image, _ = composite_photographs.photograph(320, 240, [(10, 20, 120, 0), (150, 70, 140, 0)])
    cv2.imwrite(str(folder / "group.png"), image)
    result = run(python, folder, "../group.png", "../p.png", "--device", "CPU", "--json", "--detect")
    assert result.returncode == 0, result.stderr
    faces = [json.loads(line) for line in result.stdout.splitlines()]
    assert [tuple(face["box"]) for face in faces] == [face.box for face in detect.Detector().find(image)]
    assert all(set(face["answers"]) == {"tiny"} for face in faces) and "p.png: no face" in result.stderr
    assert run(python, folder, "../p.png", "--device", "CPU", "--detect").returncode == 5


@pytest.mark.parametrize("version", ["3.7", "3.9"])
def test_bundle_runs_with_openvino_2021(version, folder):
    python = older_python.environment("openvino-2021.4.2-python" + version, [version], PACKAGES)
    check(python, folder)
    result = run(python, folder, "../p.png", "--device", "MYRIAD")
    assert result.returncode == 3 and ("python3 doctor.py" in result.stderr or "libusb" in result.stderr)
    result = subprocess.run(
        [python, "-E", "doctor.py", "--json"], cwd=folder / "bundle", capture_output=True, text=True
    )
    findings = json.loads(result.stdout)
    assert result.returncode == any(f["level"] == "FAULT" for f in findings)
    assert any(f["what"].startswith("OpenVINO") and "runs Neural Compute Stick 2" in f["what"] for f in findings)
    assert not any("ncs doctor" in f["fix"] or "ncs toolchain" in f["fix"] for f in findings)


def test_doctor_runs_without_dependencies(folder):
    """The doctor runs without any dependency and reports what is missing."""
    command = [sys.executable, "-S", "-E", "doctor.py", "--json"]
    result = subprocess.run(command, cwd=folder / "bundle", capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "pip install numpy" in [finding["fix"] for finding in json.loads(result.stdout)]


@pytest.mark.parametrize("missing", ["cv2", "numpy"])
def test_a_missing_package_is_one_line(folder, missing):
    """A module that raises ModuleNotFoundError stands for a package that is not installed."""
    (folder / "stub").mkdir(exist_ok=True)
    text = "No module named '{0}'"
    (folder / "stub" / f"{missing}.py").write_text(
        f'raise ModuleNotFoundError("{text.format(missing)}", name="{missing}")'
    )
    command = [sys.executable, "run_inference.py", "../p.png", "--device", "CPU"]
    environment = dict(os.environ, PYTHONPATH=str(folder / "stub"))
    result = subprocess.run(command, cwd=folder / "bundle", capture_output=True, text=True, env=environment)
    (folder / "stub" / f"{missing}.py").unlink()
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
    assert f"error: No module named '{missing}'; install it with `pip install" in result.stderr


def test_bundle_runs_with_openvino_2022(folder):
    packages = ["openvino==2022.1.0", "numpy<2", "opencv-python-headless"]
    check(older_python.environment("openvino-2022.1.0-python3.9", ["3.9"], packages), folder)


def test_bundle_runs_with_the_current_openvino(folder):
    check(sys.executable, folder)
    probe = (
        "import sys, runpy; sys.path = [p for p in sys.path if 'src' not in p];"
        "space = runpy.run_path('run_inference.py');"
        "import caffe, ncs, agegender.inference.predict, ncs.runtime.openvino;"
        "assert all('bundle' in m.__file__ for m in (caffe, ncs, agegender)), caffe.__file__;"
        "assert not {'torch', 'onnx', 'google.protobuf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=folder / "bundle", check=True)


def test_bundle_contents(folder):
    files = {
        os.path.relpath(os.path.join(parent, name), folder / "bundle")
        for parent, _, names in os.walk(folder / "bundle")
        for name in names
        if "__pycache__" not in parent
    }
    assert {
        "run_inference.py",
        "README.txt",
        "graph/tiny.json",
        "graph/tiny_mean.npy",
        "graph/tiny.onnx",
        "graph/tiny.xml",
        "graph/tiny.bin",
        "doctor.py",
        "lib/ncs/doctor/checks.py",
        "lib/caffe/device/transform.py",
        "lib/ncs/runtime/manifest.py",
        "lib/ncs/runtime/myriad.py",
        "lib/agegender/inference/predict.py",
        "lib/agegender/inference/labels.py",
        "lib/agegender/inference/yunet/LICENSE",
        "lib/agegender/inference/yunet/face_detection_yunet_2023mar.onnx",
    } <= files
    assert not {name for name in files if name.startswith(("lib/caffe/net", "lib/caffe/layers", "lib/ncs/compile"))}


def test_only_a_bundle_is_replaced(folder, tmp_path, capsys, monkeypatch):
    manifest = str(folder / "graph" / "tiny.json")
    kept = folder / "graph" / "tiny.onnx"
    for options in ([], ["--model-server"]):
        assert main(["bundle", manifest, "-o", str(folder / "graph"), *options]) == 1
        assert "`ncs bundle`" in capsys.readouterr().err and kept.exists()
    monkeypatch.chdir(folder)
    assert main(["bundle", manifest, "-o", "."]) == 1 and kept.exists()
    assert main(["bundle", manifest, "-o", str(kept)]) == 1 and kept.is_file()
    (folder / "bundle" / "graph" / "mine.json").write_text("{}")
    assert main(["bundle", manifest, "-o", "bundle"]) == 1 and (folder / "bundle" / "graph" / "mine.json").exists()
    (folder / "bundle" / "graph" / "mine.json").unlink()
    (folder / "empty").mkdir()
    for output in ("bundle", "empty", "new/folder"):
        assert main(["bundle", manifest, "-o", output]) == 0
        assert sorted(os.listdir(folder / output / "graph")) == sorted(os.listdir(folder / "graph"))


def test_errors(folder, capsys):
    manifest = str(folder / "graph" / "tiny.json")
    assert run(sys.executable, folder, "none.png", "--device", "CPU").returncode == 3
    assert main(["bundle", manifest, manifest, "-o", str(folder / "b")]) == 1
    assert "two nets are called 'tiny'" in capsys.readouterr().err
    (folder / "graph" / "tiny.onnx").write_bytes(b"changed")
    assert main(["bundle", manifest, "-o", str(folder / "b")]) == 1
    assert "onnx changed since it was compiled" in capsys.readouterr().err and not (folder / "b").exists()
    with pytest.raises(NcsError, match="expected one of blob"):
        from ncs.bundle.output import copy_graph

        copy_graph(Manifest.read(manifest), str(folder / "x"), ("blob",))
