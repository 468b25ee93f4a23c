"""Databases as py-lmdb itself reads them: the witness of ours."""

import os
import shutil
import tempfile

import lmdb


def rows(path):
    """[(key, value)] of an LMDB, from a copy: a process opens a file only once, and an earlier test's net may hold this one."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(os.path.join(path, "data.mdb"), copy)
        with lmdb.open(copy, readonly=True, lock=False) as environment, environment.begin() as transaction:
            return list(transaction.cursor())
