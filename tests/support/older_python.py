"""Environments of older Pythons, where such are found: what boards have and OpenVINO 2021.4 needs.

An environment is made once, in the cache folder of the program, by pip.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ncs.myriad.toolchain import cache_folder

SOURCE = str(Path(__file__).resolve().parents[1] / "src")


def interpreter(*versions):
    """Path of the first of these Pythons ("3.7") that is installed, in PATH or under pyenv; or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        found = [shutil.which("python" + version)]
        found += [str(path) for path in sorted(pyenv.glob(version + ".*/bin/python"))]
        for path in filter(None, found):
            if subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                return path
    return None


def environment(name, versions, packages):
    """Path of a python of one of `versions` that has `packages`; skips the test where it cannot be had."""
    python = interpreter(*versions)
    if python is None:
        pytest.skip("no Python {} is installed here".format(" or ".join(versions)))
    folder = Path(cache_folder()) / "environments" / name
    made, done = folder / "bin" / "python", folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(str(folder) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run side by side
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([python, "-m", "venv", str(folder)], check=True)
            command = [str(made), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                pytest.skip("pip could not make the environment: " + result.stderr.strip().splitlines()[-1])
            done.touch()
    return str(made)


def run(python, code, *arguments):
    """Run `code` with the program's source on the path; returns what it printed."""
    environment = dict(os.environ, PYTHONPATH=SOURCE)
    result = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout
