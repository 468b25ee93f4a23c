"""MobileNet's weights come out of TensorFlow.js' files as TensorFlow computes with them."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from agegender import zoo
from agegender.errors import AgeGenderError
from agegender.zoo import assemble, mobilenet
from caffe.convert import tfjs

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stored():
    """{name: array} of seeded weights under the names and in the shapes of faceres-deep."""
    rng = np.random.default_rng(5)

    def draw(*shape, scale=1.0, offset=0.0):
        return (offset + scale * rng.standard_normal(shape)).astype(np.float32)

    out = {"conv1/convolution/merged_input": draw(3, 3, 3, 32, scale=0.01), "conv1_bn/batchnorm_1/sub": draw(32)}
    have = 32
    for block, (width, _) in enumerate(mobilenet.BLOCKS, 1):
        out["conv_dw_%d/depthwise_kernel" % block] = draw(3, 3, have, 1, scale=0.4)
        out["conv_dw_%d_bn/batchnorm_1/mul" % block] = draw(have, scale=0.1, offset=1)
        out["conv_dw_%d_bn/batchnorm_1/sub" % block] = draw(have)
        out["conv_pw_%d/convolution/merged_input" % block] = draw(1, 1, have, width, scale=have**-0.5)
        out["conv_pw_%d_bn/batchnorm_1/sub" % block] = draw(width)
        have = width
    for name, inputs, outputs in (("feats", 1024, 256), ("gender_pred", 256, 1), ("age_pred", 256, 100)):
        out[name + "/kernel"], out[name + "/bias"] = draw(inputs, outputs, scale=0.1), draw(outputs)
    return out


def write(folder, stored, half=False):
    """The model's .json and .bin, of floats or of half floats."""
    kind = np.float16 if half else np.float32
    entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"} for name, array in stored.items()]
    for entry in entries if half else ():
        entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
    (folder / "m.bin").write_bytes(b"".join(array.astype(kind).tobytes() for array in stored.values()))
    (folder / "m.json").write_text(json.dumps({"weightsManifest": [{"paths": ["m.bin"], "weights": entries}]}))
    return str(folder / "m.json")


def tensorflow(stored, picture):
    """(gender, ages) as TensorFlow's graph has them: padding "same", ReLU6, normalisation as a product and a sum."""

    def conv(x, kernel, stride, groups):
        size = kernel.shape[0]
        pad = max((-(-x.shape[2] // stride) - 1) * stride + size - x.shape[2], 0)
        x = functional.pad(x, (pad // 2, pad - pad // 2) * 2)
        order = (2, 3, 0, 1) if groups > 1 else (3, 2, 0, 1)
        return functional.conv2d(x, torch.from_numpy(kernel).permute(order), stride=stride, groups=groups)

    def vector(name):
        return torch.from_numpy(stored[name]).view(-1, 1, 1)

    x = conv(picture, stored["conv1/convolution/merged_input"], 2, 1) + vector("conv1_bn/batchnorm_1/sub")
    x = functional.relu6(x)
    for block, (_, stride) in enumerate(mobilenet.BLOCKS, 1):
        deep, point = "conv_dw_%d" % block, "conv_pw_%d" % block
        x = conv(x, stored[deep + "/depthwise_kernel"], stride, x.shape[1]) * vector(deep + "_bn/batchnorm_1/mul")
        x = functional.relu6(x + vector(deep + "_bn/batchnorm_1/sub"))
        x = conv(x, stored[point + "/convolution/merged_input"], 1, 1) + vector(point + "_bn/batchnorm_1/sub")
        x = functional.relu6(x)
    told = {name: torch.from_numpy(array) for name, array in stored.items()}
    facts = functional.relu(x.mean((2, 3)) @ told["feats/kernel"] + told["feats/bias"])
    gender = torch.sigmoid(facts @ told["gender_pred/kernel"] + told["gender_pred/bias"])
    return gender.numpy(), torch.softmax(facts @ told["age_pred/kernel"] + told["age_pred/bias"], 1).numpy()


def answer(task, weights, picture):
    built = assemble.deploy_net(zoo.nets()["mobilenet-" + task], weights)
    built.blobs["data"].data[...] = picture
    return np.array(built.forward()["prob"])


def test_both_answers_are_tensorflows(stored, tmp_path):
    weights = mobilenet.convert(write(tmp_path, stored))
    picture = np.random.default_rng(1).integers(0, 256, (1, 3, 193, 193)).astype(np.float32)
    gender, ages = tensorflow(stored, torch.from_numpy(picture))
    assert ages.max() - ages.min() > 1e-3
    np.testing.assert_allclose(answer("gender", weights, picture)[:, 0], gender[:, 0], rtol=0, atol=2e-5)
    years = answer("age", weights, picture)
    np.testing.assert_allclose(years[:, 1:] / years[:, 1:].sum(), ages, rtol=0, atol=2e-5)
    np.testing.assert_allclose(years[:, 0], years[:, 1] / 100, rtol=1e-4)


def test_half_floats_are_read_and_damage_is_told(stored, tmp_path):
    some = {name: stored[name] for name in ("feats/kernel", "feats/bias")}
    path = write(tmp_path, some, half=True)
    for name, array in tfjs.read(path).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, stored[name].astype(np.float16).astype(np.float32))
    with pytest.raises(AgeGenderError, match="faceres-deep.json is wanted"):
        mobilenet.convert(path)
    whole = (tmp_path / "m.bin").read_bytes()
    for damaged, message in ((whole[:-1], "truncated"), (whole + b"x", "bytes of weights, received")):
        (tmp_path / "m.bin").write_bytes(damaged)
        with pytest.raises(AgeGenderError, match=message):
            tfjs.read(path)
    (tmp_path / "m.bin").unlink()
    with pytest.raises(AgeGenderError, match="in the folder of the .json"):
        tfjs.read(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weightsManifest": 3}', '{"weightsManifest": [{"paths": ["../m.bin"], "weights": []}]}',
     '{"weightsManifest": [{"paths": [], "weights": [{"name": "x", "shape": [1], "dtype": "string"}]}]}',
     '{"weightsManifest": [{"paths": [], "weights": [{"name": "x", "shape": [-1], "dtype": "int32"}]}]}'],
)  # fmt: skip
def test_what_is_no_model_is_refused(text, tmp_path):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(AgeGenderError, match="m.json"):
        tfjs.read(str(tmp_path / "m.json"))
