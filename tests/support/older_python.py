"""Environments of older Pythons, as on target devices and for OpenVINO 2021.4.

pip creates each environment once, in the package's cache folder, if such a Python is installed.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ncs.myriad.toolchain import cache_folder

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def interpreter(*versions):
    """Path of the first of these Python versions ("3.7") that is installed, in PATH or by pyenv; or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        candidates = [shutil.which("python" + version)]
        candidates += [str(path) for path in sorted(pyenv.glob(version + ".*/bin/python"))]
        for path in filter(None, candidates):
            if subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                return path
    return None


def environment(name, versions, packages):
    """Path of a python of one of `versions` with `packages`; skips the test if it cannot be created."""
    base_python = interpreter(*versions)
    if base_python is None:
        pytest.skip(f"Python {' or '.join(versions)} is not installed")
    folder = Path(cache_folder()) / "environments" / name
    python, stamp = folder / "bin" / "python", folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(str(folder) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in parallel
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([base_python, "-m", "venv", str(folder)], check=True)
            command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                pytest.skip("pip could not create the environment: " + result.stderr.strip().splitlines()[-1])
            stamp.touch()
    return str(python)


def run(python, code, *arguments):
    """Run `code` with this package's source on the path; returns its output."""
    environment = dict(os.environ, PYTHONPATH=SOURCE)
    result = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout
