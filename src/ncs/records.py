"""The pictures of an LMDB as a net is fed them."""

from __future__ import annotations

import itertools


def batches(source, transform, count=0, skip=0, size=16):
    """Yield (blob (N, C, H, W), keys, labels) of `count` records (0: all) behind the first `skip`."""
    from caffe.data import datum
    from caffe.data.db import open_db

    with open_db(source, "LMDB") as database:
        records = itertools.islice(database, skip, skip + count if count else None)
        while True:
            part = list(itertools.islice(records, size))
            if not part:
                return
            decoded = [datum.decode(value) for _, value in part]
            keys = [bytes(key).decode("utf-8", "replace") for key, _ in part]
            yield transform.planes([array for array, _ in decoded]), keys, [label for _, label in decoded]
