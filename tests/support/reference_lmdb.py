"""Read LMDBs with py-lmdb, the reference for our own reader and writer."""

import os
import shutil
import tempfile

import lmdb


def rows(path):
    """[(key, value)] of an LMDB, read from a copy: a process can open a file only once, and a net may have it open."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(os.path.join(path, "data.mdb"), copy)
        with lmdb.open(copy, readonly=True, lock=False) as environment, environment.begin() as transaction:
            return list(transaction.cursor())
