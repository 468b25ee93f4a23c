"""One case: a damaged file given to its readers, who may read it or raise a CaffeError, and nothing else."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from mutate import mutate
from targets import TARGETS

from caffe.errors import CaffeError


@functools.cache
def seeds(name):
    """The sound files of a target."""
    return TARGETS[name].seeds()


def damaged(name, number):
    """The bytes of case `number` of target `name`."""
    files = seeds(name)
    return mutate(files[number % len(files)], files, number, TARGETS[name].text)


def run(name, number, folder=None):
    """Give the case to every reader; returns how many read it. What is no CaffeError is let through."""
    data, accepted = damaged(name, number), 0
    for reader in TARGETS[name].readers:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            path = Path(own) / "file"
            path.write_bytes(data)
            try:
                reader(path)
                accepted += 1
            except CaffeError as problem:
                if not str(problem):
                    raise AssertionError("an error without words") from problem
    return accepted
