"""MobileNet with weights converted from TensorFlow.js computes what TensorFlow computes."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from agegender import zoo
from agegender.zoo import assemble, mobilenet
from caffe.convert import tfjs
from caffe.errors import CaffeError

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stored():
    """{name: array} of random weights with the names and shapes of faceres-deep."""
    rng = np.random.default_rng(5)

    def normal(*shape, scale=1.0, offset=0.0):
        return (offset + scale * rng.standard_normal(shape)).astype(np.float32)

    out = {"conv1/convolution/merged_input": normal(3, 3, 3, 32, scale=0.01), "conv1_bn/batchnorm_1/sub": normal(32)}
    channels = 32
    for block, (width, _) in enumerate(mobilenet.BLOCKS, 1):
        out[f"conv_dw_{block}/depthwise_kernel"] = normal(3, 3, channels, 1, scale=0.4)
        out[f"conv_dw_{block}_bn/batchnorm_1/mul"] = normal(channels, scale=0.1, offset=1)
        out[f"conv_dw_{block}_bn/batchnorm_1/sub"] = normal(channels)
        out[f"conv_pw_{block}/convolution/merged_input"] = normal(1, 1, channels, width, scale=channels**-0.5)
        out[f"conv_pw_{block}_bn/batchnorm_1/sub"] = normal(width)
        channels = width
    for name, inputs, outputs in (("feats", 1024, 256), ("gender_pred", 256, 1), ("age_pred", 256, 100)):
        out[name + "/kernel"], out[name + "/bias"] = normal(inputs, outputs, scale=0.1), normal(outputs)
    return out


def write(folder, stored, half=False):
    """Write the model's .json and .bin, in float32 or float16."""
    dtype = np.float16 if half else np.float32
    entries = [{"name": name, "shape": list(array.shape), "dtype": "float32"} for name, array in stored.items()]
    for entry in entries if half else ():
        entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
    (folder / "m.bin").write_bytes(b"".join(array.astype(dtype).tobytes() for array in stored.values()))
    (folder / "m.json").write_text(json.dumps({"weightsManifest": [{"paths": ["m.bin"], "weights": entries}]}))
    return str(folder / "m.json")


def tensorflow(stored, image):
    """(gender, ages) of TensorFlow's graph: "same" padding, ReLU6, batch normalization as scale and shift."""

    def conv(x, kernel, stride, groups):
        size = kernel.shape[0]
        pad = max((-(-x.shape[2] // stride) - 1) * stride + size - x.shape[2], 0)
        x = functional.pad(x, (pad // 2, pad - pad // 2) * 2)
        order = (2, 3, 0, 1) if groups > 1 else (3, 2, 0, 1)
        return functional.conv2d(x, torch.from_numpy(kernel).permute(order), stride=stride, groups=groups)

    def vector(name):
        return torch.from_numpy(stored[name]).view(-1, 1, 1)

    x = conv(image, stored["conv1/convolution/merged_input"], 2, 1) + vector("conv1_bn/batchnorm_1/sub")
    x = functional.relu6(x)
    for block, (_, stride) in enumerate(mobilenet.BLOCKS, 1):
        deep, point = f"conv_dw_{block}", f"conv_pw_{block}"
        x = conv(x, stored[deep + "/depthwise_kernel"], stride, x.shape[1]) * vector(deep + "_bn/batchnorm_1/mul")
        x = functional.relu6(x + vector(deep + "_bn/batchnorm_1/sub"))
        x = conv(x, stored[point + "/convolution/merged_input"], 1, 1) + vector(point + "_bn/batchnorm_1/sub")
        x = functional.relu6(x)
    weights = {name: torch.from_numpy(array) for name, array in stored.items()}
    features = functional.relu(x.mean((2, 3)) @ weights["feats/kernel"] + weights["feats/bias"])
    gender = torch.sigmoid(features @ weights["gender_pred/kernel"] + weights["gender_pred/bias"])
    ages = torch.softmax(features @ weights["age_pred/kernel"] + weights["age_pred/bias"], 1)
    return gender.numpy(), ages.numpy()


def predict(task, weights, image):
    deploy = assemble.deploy_net(zoo.nets()["mobilenet-" + task], weights)
    deploy.blobs["data"].data[...] = image
    return np.array(deploy.forward()["prob"])


def test_both_predictions_agree_with_tensorflow(stored, tmp_path):
    weights = mobilenet.convert(write(tmp_path, stored))
    image = np.random.default_rng(1).integers(0, 256, (1, 3, 193, 193)).astype(np.float32)
    gender, ages = tensorflow(stored, torch.from_numpy(image))
    assert ages.max() - ages.min() > 1e-3
    np.testing.assert_allclose(predict("gender", weights, image)[:, 0], gender[:, 0], rtol=0, atol=2e-5)
    years = predict("age", weights, image)
    np.testing.assert_allclose(years[:, 1:] / years[:, 1:].sum(), ages, rtol=0, atol=2e-5)
    np.testing.assert_allclose(years[:, 0], years[:, 1] / 100, rtol=1e-4)


def test_float16_is_read_and_damaged_files_are_refused(stored, tmp_path):
    subset = {name: stored[name] for name in ("feats/kernel", "feats/bias")}
    path = write(tmp_path, subset, half=True)
    for name, array in tfjs.read(path).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, stored[name].astype(np.float16).astype(np.float32))
    with pytest.raises(CaffeError, match="expected faceres-deep.json"):
        mobilenet.convert(path)
    content = (tmp_path / "m.bin").read_bytes()
    for damaged, message in ((content[:-1], "truncated"), (content + b"x", "bytes of weights, received")):
        (tmp_path / "m.bin").write_bytes(damaged)
        with pytest.raises(CaffeError, match=message):
            tfjs.read(path)
    (tmp_path / "m.bin").unlink()
    with pytest.raises(CaffeError, match="in the folder of the .json"):
        tfjs.read(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weightsManifest": 3}', '{"weightsManifest": [{"paths": ["../m.bin"], "weights": []}]}',
     '{"weightsManifest": [{"paths": [], "weights": [{"name": "x", "shape": [1], "dtype": "string"}]}]}',
     '{"weightsManifest": [{"paths": [], "weights": [{"name": "x", "shape": [-1], "dtype": "int32"}]}]}'],
)  # fmt: skip
def test_invalid_models_are_refused(text, tmp_path):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(CaffeError, match="m.json"):
        tfjs.read(str(tmp_path / "m.json"))
