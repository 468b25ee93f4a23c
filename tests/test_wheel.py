"""The wheel, installed into an empty environment: everything the checkout gives works in any directory."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.checkout import ROOT

ENVIRONMENT_VARIABLES = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(bin directory, working directory) of an environment that has the wheel and, by a .pth file, its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, tracked):  # a clean copy: no build/ and no egg-info of the checkout
        path = source / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / os.fsdecode(name)).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder), "."]
    subprocess.run(build, cwd=source, check=True)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "env"), "install", "-q", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (folder / "work").mkdir()
    return folder / "env" / "bin", folder / "work"


def run(installed, *command):
    """Run a program of the environment in the working directory; return its standard output."""
    folder, work = installed
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT_VARIABLES}
    environment["GLOG_minloglevel"] = "1"
    command = [str(folder / command[0]), *map(str, command[1:])]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_package_is_the_wheel(installed):
    code = "import caffe2ncs, agegender; print(caffe2ncs.__version__, agegender.__file__)"
    version, path = run(installed, "python", "-c", code).split()
    assert version == "0.2.0" and Path(path).is_relative_to(installed[0].parent)


def test_every_program_starts(installed):
    programs = {path.name for path in installed[0].iterdir()}
    assert programs >= {"caffe", "ncs", "agegender", "convert_imageset", "compute_image_mean"}
    for program in ("caffe", "ncs", "agegender"):
        assert "usage" in run(installed, program, "--help")


def test_the_pipeline_runs_outside_a_checkout(installed):
    output = run(installed, "agegender", "run", "--count", "90", "--iterations", "2")
    assert output.count("Confusion matrix:") == 4 and output.count("Age predicted: ") == 4
    assert (installed[1] / "prototxt" / "AgeNet_train_test.prototxt").is_file()  # copied from the package
    assert (installed[1] / "graph" / "AgeNet.blob").stat().st_size > 1e7


def test_train_compile_and_predict_outside_a_checkout(installed):
    run(installed, "agegender", "train", "GenderNet", "--iterations", "1")
    run(installed, "agegender", "compile", "GenderNet", "--no-blob")
    image = min((installed[1] / "data" / "synthetic_faces").glob("*.jpg"))
    output = run(installed, "agegender", "predict", "--image_path", image, "--net", "GenderNet", "--device", "CPU")
    assert output.startswith("Gender predicted: ")


def test_the_python_interface_outside_a_checkout(installed):
    code = (
        "from caffe2ncs import Model\n"
        "model = Model('compact', device='CPU')\n"
        "print(len(model.predict('data/synthetic_faces', batch=8)))\n"
        "print(*model.export('onnx', 'exported'))\n"
    )
    count, names = run(installed, "python", "-c", code).splitlines()
    assert count == "90" and names == "exported/compact.onnx"
