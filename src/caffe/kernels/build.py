"""Compile the kernels: `python -m caffe.kernels.build`. Does nothing if they are compiled."""

from __future__ import annotations

import argparse
import glob
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from caffe.errors import CaffeError
from caffe.kernels import library

COMPILE = (
    *("-std=c11", "-O3", "-march=native", "-fopenmp", "-fPIC", "-fvisibility=hidden"),
    # not -ffast-math: NaN and infinities must come through
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
LINK = ("-shared", "-lm")  # without -fopenmp: OpenMP's functions are those of PyTorch's copy of libgomp


def build() -> str:
    """Compile the kernels for this processor and return the library's path; an existing library is kept.

    The compiler is `$CC`, else cc or gcc.

    Raises
    ------
    CaffeError
        If there is no compiler, or it fails.
    """
    compiler = find_compiler()
    target = _target(compiler)
    if os.path.exists(target):
        return target
    folder = os.path.dirname(target)
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
            result = os.path.join(scratch, "kernels.so")
            compile_library(compiler, result)
            outdated = library.candidates()
            os.replace(result, target)
    except OSError as error:
        raise CaffeError(f"{folder}: cannot write the kernels ({error.strerror}); set CAFFE2NCS_CACHE") from error
    for path in outdated:  # of another compiler
        if path != target:
            os.unlink(path)
    return target


def find_compiler() -> list[str]:
    """Return the command of the C compiler; raises CaffeError if there is none."""
    command = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or ""]
    if not shutil.which(command[0]):
        wanted = f"the C compiler '{command[0]}' of $CC" if command[0] else "a C compiler (cc or gcc)"
        raise CaffeError(f"{wanted} is not installed; without the kernels, PyTorch computes the same, slower")
    return command


def compile_library(compiler: list[str], target: str, *flags: str) -> None:
    """Compile all sources to the shared library `target` with further `flags`; raises CaffeError if that fails."""
    objects = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(glob.glob(os.path.join(library.FOLDER, "*.c"))):
            objects.append(os.path.join(folder, os.path.basename(source) + ".o"))
            _run([*compiler, *COMPILE, *flags, "-c", source, "-o", objects[-1]])
        _run([*compiler, *objects, *flags, *LINK, "-o", target])


def _run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        error = next((line for line in lines if "error" in line), lines[-1])
        raise CaffeError(f"{shlex.join(command)} failed: {error}")


def _target(compiler):
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=False).stdout
    number = hashlib.sha256(version + shlex.join([*compiler, *COMPILE, *LINK]).encode()).hexdigest()[:8]
    return library.prefix() + number + ".so"


def main() -> int:
    """Compile the kernels and print the library's path; return the exit status."""
    argparse.ArgumentParser(prog="python -m caffe.kernels.build", description=__doc__).parse_args()
    try:
        print(build())
    except CaffeError as error:
        print(f"kernels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
