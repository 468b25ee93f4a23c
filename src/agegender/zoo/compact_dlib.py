"""The compact net with dlib's gender net as a branch: one image, one pass, one blob.

dlib's gender net was trained on other faces than ours, so the two err on different ones. Its weights stay as they are
published; only the layer that combines its 16 features with those of the compact net is trained. The branch sees the
input at a quarter of its size: 32 x 32 pixels, as in dlib's chips.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np

from agegender.inference import labels
from agegender.inference.faces import face_crop, face_settings
from agegender.zoo import compact, dlib_faces
from agegender.zoo.assemble import input_net
from agegender.zoo.model import Net
from caffe.net_spec import NetSpec, layers, params
from caffe.proto.caffe_pb2 import NetParameter

SIDE = 4 * dlib_faces.GENDER_SIDE
WIDTHS = (16, 32, 64, 112)
PREFIX = "dlib_"
_FIXED = [{"lr_mult": 0, "decay_mult": 0}] * 2


def body(widths: Sequence[int] = WIDTHS, side: int = SIDE) -> NetParameter:
    """The NetParameter up to `gender_logits` and `age_logits` (one class per year)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    factor = side // dlib_faces.GENDER_SIDE
    n.reduced = layers.Pooling(n.data, pool=params.Pooling.AVE, kernel_size=factor, stride=factor)
    branch = dlib_faces.gender_features(n, n.reduced, PREFIX, _FIXED)
    features = compact.trunk(n, n.data, widths)
    n.flat = layers.Flatten(features)
    n.gender_features = layers.Concat(n.flat, branch)
    return input_net(compact.heads(n, features, n.gender_features), (1, 3, side, side))


def branch_weights(path: str | os.PathLike, net: Net) -> dict[str, list[np.ndarray]]:
    """Weights to start from: dlib's branch, and its answer as the first value of `gender_logits`.

    Parameters
    ----------
    path : path
        gender-v1.onnx.
    net : Net
        A net of this file.

    Returns
    -------
    dict
        {layer: [array]}, for this net's mean and scale, BGR, male first.
    """
    dlib = dlib_faces.convert(path, dlib_faces.GENDER)
    weights, bias = dlib.pop("gender_logits")
    first = dlib["conv1_1"]
    first[0] = np.ascontiguousarray(first[0][:, ::-1]) * np.float32(dlib_faces.SCALE / compact.SCALE)
    channels = next(layer for layer in net.body().layer if layer.name == "s4b2_2").convolution_param.num_output
    combined = np.concatenate([np.zeros((2, channels)), weights[::-1]], 1).astype(np.float32)
    out = {PREFIX + name: arrays for name, arrays in dlib.items()}
    return {**out, "gender_logits": [combined, np.ascontiguousarray(bias[::-1])]}


def _transform():
    """A dlib chip in BGR, downscaled by averaging."""
    from caffe.device.transform import Transform

    return Transform(
        order="BGR",
        size=SIDE,
        mean=compact.MEAN,
        scale=compact.SCALE,
        shrink="area",
        application=face_settings.settings(dlib_faces.MARGIN, face_crop.UTKFACE),
    )


SIZES = (
    ("compact-dlib", "Compact residual net with dlib's gender net", WIDTHS, {"age": 591749, "gender": 711714}),
    (
        "compact-wide-dlib",
        "Compact residual net, 1.5 times as wide, with dlib's gender net",
        compact.WIDE,
        {"age": 1580549, "gender": 1692594},
    ),
)
NETS = tuple(
    Net(
        name=f"{stem}-{task}",
        family="compact_dlib",
        task=task,
        title=f"{title}, {task}",
        source="caffe2ncs; gender branch: Cydral Technology, dlib-models, 2021",
        labels=net_labels,
        parameters=counts[task],
        shape=(3, SIDE, SIDE),
        transform=_transform,
        body=functools.partial(body, widths),
        logits=task + "_logits",
        losses=compact.LOSSES,
        weights=stem,
        origin=dlib_faces.GENDER.origin,
        folded=True,
        features=branch_weights,
    )
    for stem, title, widths, counts in SIZES
    for task, net_labels in (("age", labels.AGE_DECADES), ("gender", labels.MALE_FIRST))
)
