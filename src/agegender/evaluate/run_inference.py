"""Runs a trained net over a whole test database, every picture exactly once."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass
class Scores:
    """What a net said of N pictures: `keys` (bytes) and `truth` (int) as stored, `probabilities` N x classes."""

    keys: list
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self):
        """The likeliest class of each picture."""
        return self.probabilities.argmax(1)


def score(predict, source, transform, backend="lmdb", batch=50, show=None):
    """Scores of `predict` (float32 N x C x H x W -> N x classes) on every record of the database `source`.

    `show(keys, truth, probabilities)` is called after each batch.
    """
    from caffe.data.db import open_db
    from ncs.precision.lmdb_batches import blobs

    keys, truth, rows = [], [], []
    with open_db(source, backend) as database:
        for names, pictures, labels in blobs(database, transform, batch):
            values = np.asarray(predict(pictures))
            keys += names
            truth += labels
            rows.append(values.reshape(len(names), -1).astype(np.float32))
            if show is not None:
                show(names, labels, rows[-1])
    return Scores(keys, np.array(truth, np.int64), np.concatenate(rows))


def length(source, backend="lmdb"):
    """How many records the database `source` holds."""
    from caffe.data.db import open_db

    with open_db(source, backend) as database:
        return len(database)


def net_predictor(net):
    """A `predict` for `score` of a deploy Net (caffe.Net): its input takes each batch's size."""
    source, output = net.inputs[0], net.outputs[0]

    def predict(pictures):
        net.blobs[source].reshape(*pictures.shape)
        net.blobs[source].data[...] = pictures
        net.forward_range(0, len(net.layers) - 1, record=False)
        return net.blobs[output].data.copy()

    return predict
