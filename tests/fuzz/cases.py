"""One case: a damaged file, which its readers must accept or refuse with a CaffeError."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from mutate import mutate
from targets import TARGETS

from caffe.errors import CaffeError

CORPUS = Path(__file__).resolve().parent / "corpus"


@functools.cache
def seeds(name):
    """The valid files of a target."""
    return TARGETS[name].seeds()


@functools.cache
def corpus(name):
    """The files that coverage-guided fuzzing found for a target: each reaches other code than the valid files."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def damaged(name, number, of=None):
    """The bytes of case `number` of target `name`; `of` are other files to damage than the valid ones."""
    files = of or seeds(name)
    return mutate(files[number % len(files)], files, number, TARGETS[name].text)


def run(name, number, folder=None):
    """Run every reader on the case, as `read` does."""
    return read(name, damaged(name, number), folder)


def read(name, data, folder=None):
    """Run every reader on a file of these bytes and return how many accept it; only CaffeErrors do not propagate."""
    accepted = 0
    for reader in TARGETS[name].readers:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / "file"
            path.write_bytes(data)
            try:
                reader(path)
                accepted += 1
            except CaffeError as error:
                if not str(error):
                    raise AssertionError("an error without a message") from error
    return accepted
