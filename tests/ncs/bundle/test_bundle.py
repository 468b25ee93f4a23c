"""`ncs bundle`: the folder answers on the Pythons and OpenVINOs that boards have, as the host does; the server's repository."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import caffe_nets, composite_photographs, older_python

from agegender.inference import detect
from caffe.device.transform import Transform
from ncs.cli import main
from ncs.compiler.compile import Model, Options, compile_models
from ncs.errors import NcsError
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

PACKAGES = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]
NAMES = ["a", "b", "c", "d", "e"]


def compiled(folder, mean):
    prototxt, weights = caffe_nets.tiny(folder, caffe_nets.TINY.replace("dim: 8 dim: 8", "dim: 24 dim: 24"))
    transform = Transform(size=(24, 24), mean=mean, scale=0.01)
    compile_models(
        [(Model("tiny", prototxt, weights, transform, NAMES), str(folder / "graph" / "tiny"))], Options(blob=False)
    )
    return str(folder / "graph" / "tiny.json")


@pytest.fixture
def folder(tmp_path):
    mean = np.random.RandomState(5).uniform(90, 150, (3, 24, 24)).astype(np.float32)
    manifest = compiled(tmp_path, mean)
    assert main(["bundle", manifest, "-o", str(tmp_path / "board")]) == 0
    picture = np.random.RandomState(6).randint(0, 256, (40, 30, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), picture)
    read = Manifest.read(manifest)
    with open_runner("CPU", manifest) as runner:
        np.save(tmp_path / "right.npy", runner.run(read.transform.image(picture)[None])[0])
    return tmp_path


def run(python, folder, *arguments):
    """The bundle's program, far from this checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [python, "-E", "run_inference.py", *arguments],
        cwd=folder / "board",
        env=environment,
        capture_output=True,
        text=True,
    )


def check(python, folder):
    find_duplicates(python, folder)
    result = run(python, folder, "../p.png", "--device", "CPU", "--json")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)["answers"]["tiny"]
    right = np.load(folder / "right.npy")
    np.testing.assert_allclose(answer["probabilities"], right, atol=1e-5)
    assert answer["answer"] == NAMES[right.argmax()]


def find_duplicates(python, folder):
    """Faces of a photograph: where the detector sees them here, answered; a picture without any has its own status."""
    picture, _ = composite_photographs.photograph(320, 240, [(10, 20, 120, 0), (150, 70, 140, 0)])
    cv2.imwrite(str(folder / "group.png"), picture)
    result = run(python, folder, "../group.png", "../p.png", "--device", "CPU", "--json", "--detect")
    assert result.returncode == 0, result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [tuple(face["box"]) for face in told] == [face.box for face in detect.Detector().find(picture)]
    assert all(set(face["answers"]) == {"tiny"} for face in told) and "p.png: no face" in result.stderr
    assert run(python, folder, "../p.png", "--device", "CPU", "--detect").returncode == 5


@pytest.mark.parametrize("version", ["3.7", "3.9"])
def test_on_a_board_with_openvino_2021(version, folder):
    python = older_python.environment("openvino-2021.4.2-python" + version, [version], PACKAGES)
    check(python, folder)
    result = run(python, folder, "../p.png", "--device", "MYRIAD")
    assert result.returncode == 3 and ("python3 doctor.py" in result.stderr or "libusb" in result.stderr)
    said = subprocess.run([python, "-E", "doctor.py", "--json"], cwd=folder / "board", capture_output=True, text=True)
    findings = json.loads(said.stdout)
    assert said.returncode == any(f["level"] == "FAULT" for f in findings)
    assert any(f["what"].startswith("OpenVINO") and "runs Neural Compute Stick 2" in f["what"] for f in findings)
    assert not any("ncs doctor" in f["mend"] or "ncs toolchain" in f["mend"] for f in findings)


def test_the_doctor_needs_nothing(folder):
    """On a board that lacks everything it still says what."""
    command = [sys.executable, "-S", "-E", "doctor.py", "--json"]
    said = subprocess.run(command, cwd=folder / "board", capture_output=True, text=True)
    assert said.returncode == 1, said.stderr
    assert "pip install numpy" in [finding["mend"] for finding in json.loads(said.stdout)]


def test_on_a_board_with_openvino_2022(folder):
    packages = ["openvino==2022.1.0", "numpy<2", "opencv-python-headless"]
    check(older_python.environment("openvino-2022.1.0-python3.9", ["3.9"], packages), folder)


def test_on_this_python_with_todays_openvino(folder):
    check(sys.executable, folder)
    probe = (
        "import sys, runpy; sys.path = [p for p in sys.path if 'src' not in p];"
        "space = runpy.run_path('run_inference.py'); import caffe, ncs, agegender.inference.predict, ncs.runtime.openvino;"
        "assert all('board' in m.__file__ for m in (caffe, ncs, agegender)), caffe.__file__;"
        "assert not {'torch', 'onnx', 'google.protobuf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=folder / "board", check=True)


def test_what_is_in_it(folder):
    files = {
        os.path.relpath(os.path.join(place, name), folder / "board")
        for place, _, names in os.walk(folder / "board")
        for name in names
        if "__pycache__" not in place
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


def test_only_a_bundle_is_ever_replaced(folder, tmp_path, capsys, monkeypatch):
    manifest = str(folder / "graph" / "tiny.json")
    kept = folder / "graph" / "tiny.onnx"
    for more in ([], ["--model-server"]):
        assert main(["bundle", manifest, "-o", str(folder / "graph"), *more]) == 1
        assert "`ncs bundle` did not make it: it will not be replaced" in capsys.readouterr().err and kept.exists()
    monkeypatch.chdir(folder)
    assert main(["bundle", manifest, "-o", "."]) == 1 and kept.exists()
    assert main(["bundle", manifest, "-o", str(kept)]) == 1 and kept.is_file()
    (folder / "board" / "graph" / "mine.json").write_text("{}")
    assert main(["bundle", manifest, "-o", "board"]) == 1 and (folder / "board" / "graph" / "mine.json").exists()
    (folder / "board" / "graph" / "mine.json").unlink()
    (folder / "empty").mkdir()
    for goal in ("board", "empty", "new/place"):
        assert main(["bundle", manifest, "-o", goal]) == 0
        assert sorted(os.listdir(folder / goal / "graph")) == sorted(os.listdir(folder / "graph"))


def test_faults(folder, capsys):
    manifest = str(folder / "graph" / "tiny.json")
    assert run(sys.executable, folder, "none.png", "--device", "CPU").returncode == 3
    assert main(["bundle", manifest, manifest, "-o", str(folder / "b")]) == 1
    assert "two nets are called 'tiny'" in capsys.readouterr().err
    (folder / "graph" / "tiny.onnx").write_bytes(b"changed")
    assert main(["bundle", manifest, "-o", str(folder / "b")]) == 1
    assert "onnx changed since it was compiled" in capsys.readouterr().err and not (folder / "b").exists()
    with pytest.raises(NcsError, match="nothing of blob"):
        from ncs.bundle.bundle import _copy_graph

        _copy_graph(Manifest.read(manifest), str(folder / "x"), ("blob",))


@pytest.mark.parametrize("mean", [[104, 117, 123], "pixels"])
def test_a_model_server_repository(tmp_path, mean):
    """The served model, with what config.json says done to the picture by plain NumPy, answers as the host does."""
    if mean == "pixels":
        mean = np.random.RandomState(5).uniform(90, 150, (3, 24, 24)).astype(np.float32)
    manifest = compiled(tmp_path, mean)
    assert main(["bundle", manifest, "-o", str(tmp_path / "models"), "--model-server"]) == 0
    assert sorted(os.listdir(tmp_path / "models" / "tiny" / "1")) == ["tiny.bin", "tiny.xml"]
    config = json.loads((tmp_path / "models" / "config.json").read_text())["model_config_list"][0]["config"]
    assert (config["name"], config["base_path"], config["layout"]) == ("tiny", "/models/tiny", "NHWC:NCHW")
    assert config["shape"] == "(1, 24, 24, 3)" and config["color_format"] == "BGR:BGR"
    picture = np.random.RandomState(6).randint(0, 256, (24, 24, 3), np.uint8)
    fed = (picture.astype(np.float32) - config.get("mean", 0)) / config.get("scale", 1)
    blob = np.ascontiguousarray(fed.transpose(2, 0, 1)[None], np.float32)
    read = Manifest.read(manifest)
    with open_runner("CPU", manifest) as runner:
        right = runner.run(read.transform.image(picture)[None])
    with open_runner("CPU", str(tmp_path / "models" / "tiny" / "1" / "tiny.xml")) as runner:
        np.testing.assert_allclose(runner.run(blob), right, atol=2e-3)  # the IR's weights are half precision
