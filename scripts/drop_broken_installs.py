"""After an interrupted install, make pip forget the packages of this environment that are not whole.

pip takes a package for installed once its .dist-info folder is there, even if some of its files never were
written. Such a folder is removed here, and the next `pip install` writes the package again.
"""

import csv
import importlib.metadata
import os
import shutil
import sys


def is_whole(distribution):
    """Tell whether every file of the package's RECORD is there in the size that it says."""
    record = distribution.read_text("RECORD")  # .files leaves out what is missing, from Python 3.12 on
    for name, _, size in csv.reader((record or "").splitlines()):
        if name.endswith(".pyc"):
            continue
        try:
            found = os.stat(distribution.locate_file(name)).st_size
        except FileNotFoundError:
            return False
        if size and int(size) != found:
            return False
    return bool(record)


def main():
    """Go through the environment's own packages; say which are forgotten."""
    for distribution in list(importlib.metadata.distributions()):
        folder = str(distribution._path)  # files[0].locate() would be public, but fails without RECORD
        if not folder.endswith(".dist-info") or not folder.startswith(sys.prefix):
            continue
        if not is_whole(distribution):
            name = os.path.basename(folder)
            print(f"setup: {name} is not whole and will be installed again", file=sys.stderr)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
