"""Keras on JAX, installed by pip into a folder of the package's cache, on top of this environment's NumPy and SciPy.

JAX is used because Keras's torch backend repeats the border where average pooling pads one side more than the other,
unlike the TensorFlow that the weights were trained with. JAX divides by the number of valid pixels, as TensorFlow does.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ncs.myriad.toolchain import cache_folder

PACKAGES = [
    *("keras==3.15.1", "absl-py==2.5.1", "namex==0.1.0", "optree==0.20.0", "markdown-it-py==4.3.0", "mdurl==0.1.2"),
    *("rich==15.0.0", "ml_dtypes==0.6.0", "jax==0.10.2", "jaxlib==0.10.2", "opt_einsum==3.4.0"),
]


PROGRAM = Path(__file__).with_name("keras_wide_resnet.py")


def run(program, *arguments):
    """Run a Python file with Keras on the JAX backend; skips the test if Keras cannot be installed."""
    settings = dict(os.environ, PYTHONPATH=str(_folder()), KERAS_BACKEND="jax", KERAS_HOME=str(_folder() / "home"))
    command = [sys.executable, str(program), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert result.returncode == 0, result.stderr[-2000:]


def _folder():
    folder = Path(cache_folder()) / "environments" / "keras-3.15.1-jax"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(str(folder) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in parallel
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
            result = subprocess.run([*command, "--target", str(folder), *PACKAGES], capture_output=True, text=True)
            if result.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                pytest.skip("pip could not install Keras: " + result.stderr.strip().splitlines()[-1])
            (folder / "complete").touch()
    return folder
