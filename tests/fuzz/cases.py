"""One case: a damaged file, which its readers must accept or refuse with a CaffeError."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from mutate import mutate
from targets import TARGETS

from caffe.errors import CaffeError


@functools.cache
def seeds(name):
    """The valid files of a target."""
    return TARGETS[name].seeds()


def damaged(name, number):
    """The bytes of case `number` of target `name`."""
    files = seeds(name)
    return mutate(files[number % len(files)], files, number, TARGETS[name].text)


def run(name, number, folder=None):
    """Run every reader on the case and return how many accept it; exceptions other than CaffeError propagate."""
    data, accepted = damaged(name, number), 0
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
