"""Databases as py-lmdb itself reads them: the witness of ours."""

import gc

import lmdb


def rows(path):
    """[(key, value)] of an LMDB."""
    gc.collect()  # nets are cycles: one of an earlier test may still hold the file, which a process can open only once
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())
