"""What published nets see in a face: their features and logits, computed once per image and kept in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agegender import zoo
from agegender.evaluate.predictions import image_batches
from agegender.inference.faces import face_settings
from agegender.zoo import assemble, download
from caffe.convert import onnx_export
from caffe.utils import atomic_io
from caffe.utils.cli.progress import Progress

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from agegender.zoo.model import Net
    from caffe.net.net import Net as CaffeNet

FEATURES = "features"  # blob that every net which can be a teacher has
SAVE_EVERY = 2000  # images
BATCH = 16


def of(name: str, samples: Sequence[Sample], folder: str) -> np.ndarray:
    """Return the features of aligned face images, one row per image.

    Parameters
    ----------
    name : str
        Zoo nets: all that share these weights, or one net. A net that is published without heads gives its features
        alone, others their features and their logits.
    samples : sequence of Sample
    folder : str
        Where the rows are kept, in <name>.npz; only missing ones are computed.

    Returns
    -------
    ndarray, (N, values) of float32
    """
    path = os.path.join(folder, name + ".npz")
    known = _read(path)
    missing = [sample for sample in samples if os.path.basename(sample.path) not in known]
    for start in range(0, len(missing), SAVE_EVERY):
        part = missing[start : start + SAVE_EVERY]
        rows = _compute(zoo.resolve(name), part, f"{name}, {start + len(part)} of {len(missing)}")
        known.update(zip((os.path.basename(sample.path) for sample in part), rows))
        _write(path, known)
    return np.stack([known[os.path.basename(sample.path)] for sample in samples]).astype(np.float32)


def _read(path):
    if not os.path.isfile(path):
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return dict(zip(stored["names"].tolist(), stored["rows"]))


def _write(path, rows):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with atomic_io.atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, names=np.array(list(rows)), rows=np.stack(list(rows.values())).astype(np.float16))


def _compute(nets: list[Net], samples: Sequence[Sample], title: str) -> np.ndarray:
    """Return the rows of `samples`, float32, computed by OpenVINO on the CPU in its fastest precision."""
    from ncs.runtime import open_runner

    transform, rows = nets[0].transform(), []
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "teacher.onnx")
        onnx_export.export_net(_net(nets), path)
        with open_runner("CPU", path, precision="") as runner, Progress(title, len(samples), "faces") as bar:
            for blob, keys, _ in image_batches(samples, transform, face_settings.margin(transform), BATCH):
                rows.append(runner.run(_filled(blob))[: len(keys)])
                bar.step(len(keys))
    return np.concatenate(rows)


def _filled(blob):
    """A batch of BATCH images, the last one repeated."""
    return np.concatenate([blob, np.repeat(blob[-1:], BATCH - len(blob), 0)])


def _net(nets: list[Net]) -> CaffeNet:
    """Return the Net of nets that share their weights, with one output: the features and the logits."""
    from caffe.net.net import Net as CaffeNet
    from caffe.proto import caffe_pb2
    from caffe.weights.snapshot import read_weights

    complete = download.is_complete(nets[0])
    tops = [FEATURES, *(net.logits for net in nets if complete)]
    param = assemble.needed_for(nets[0].body(), tops)
    next(layer for layer in param.layer if layer.type == "Input").input_param.shape[0].dim[0] = BATCH
    for top in tops:
        param.layer.add(name="flat_" + top, type="Flatten", bottom=[top], top=["flat_" + top])
    param.layer.add(name="all", type="Concat", bottom=["flat_" + top for top in tops], top=["all"])
    net = CaffeNet.from_param(param, caffe_pb2.TEST)
    if complete:
        weights = read_weights(download.weights_of(nets[0]))
    else:
        assert nets[0].features is not None
        weights = nets[0].features(download.fetch(nets[0]), nets[0])
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, weights[name]):
            blob.data[...] = array.reshape(tuple(blob.shape))
    return net
