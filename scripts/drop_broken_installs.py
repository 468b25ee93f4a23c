"""After an interrupted installation, remove the metadata of incomplete packages of this environment.

pip considers a package installed once its .dist-info folder exists, even if some of its files are missing. Without
that folder the next `pip install` installs the package again.
"""

from __future__ import annotations

import csv
import importlib.metadata
import os
import shutil
import sys


def is_complete(distribution: importlib.metadata.Distribution) -> bool:
    """Whether every file in the package's RECORD exists with the recorded size."""
    record = distribution.read_text("RECORD")  # .files omits missing files since Python 3.12
    for name, _, size in csv.reader((record or "").splitlines()):
        if name.endswith(".pyc"):
            continue
        try:
            actual_size = os.stat(distribution.locate_file(name)).st_size
        except FileNotFoundError:
            return False
        if size and int(size) != actual_size:
            return False
    return bool(record)


def main() -> None:
    """Remove the .dist-info folders of the environment's incomplete packages, and print their names."""
    for distribution in list(importlib.metadata.distributions()):
        folder = str(distribution._path)  # the public files[0].locate() fails without RECORD
        if not folder.endswith(".dist-info") or not folder.startswith(sys.prefix):
            continue
        if not is_complete(distribution):
            name = os.path.basename(folder)
            print(f"setup: {name} is incomplete and will be installed again", file=sys.stderr)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
