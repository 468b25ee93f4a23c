"""Range of every layer in FP16 on one batch of a database, by the emulation behind `ncs check`."""

from __future__ import annotations

import dataclasses
from typing import Any

from agegender.workbench.tasks.evaluate import open_net

IMAGES = 8


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return one row per layer, and the first layer that leaves the range."""
    import itertools

    from caffe.data.db import open_db
    from ncs.precision import compare, fp16_emulation
    from ncs.precision.lmdb_batches import blobs

    net, transform = open_net(values["net"], values["weights"])
    with open_db(values["database"]) as database:
        _, batch, _ = next(itertools.islice(blobs(database, transform, IMAGES), 1))
    source = net.inputs[0]
    net.blobs[source].reshape(*batch.shape)
    expected, emulated, layers = fp16_emulation.analyze(net, batch)
    first = compare.first_divergence(layers)
    return {
        "images": len(batch),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "first": first.name if first else None,
        "same_class": int((expected.argmax(1) == emulated.argmax(1)).sum()),
        "largest_difference": float(abs(expected - emulated).max()),
    }
