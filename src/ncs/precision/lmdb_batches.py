"""The pictures of a database as a net is fed them."""

from __future__ import annotations

import itertools


def batches(source, transform, count=0, skip=0, size=16):
    """Yield (blob (N, C, H, W), keys, labels) of `count` records (0: all) of the LMDB `source` behind the first `skip`."""
    from caffe.data.db import open_db

    with open_db(source, "LMDB") as database:
        for keys, blob, labels in blobs(
            itertools.islice(database, skip, skip + count if count else None), transform, size
        ):
            yield blob, [bytes(key).decode("utf-8", "replace") for key in keys], labels


def blobs(records, transform, size):
    """Yield (keys, blob (N, C, H, W), labels) of records, (key, Datum) pairs, in their order; the last one is what is left."""
    from caffe.data import datum

    records = iter(records)
    while part := list(itertools.islice(records, size)):
        arrays, labels = zip(*(datum.decode(value) for _, value in part))
        yield [key for key, _ in part], transform.planes(list(arrays)), list(labels)
