"""Keras weights: a small wide residual net against Keras' definition in PyTorch, the full one against Keras itself."""

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import keras_env

from agegender.zoo import wideresnet
from caffe.convert import keras_h5
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2

torch.set_num_threads(1)
SIDE, WIDTH = 32, 1


def write_keras(path):
    """Write a random WRN-16-1 as Keras saves it; return its arrays by layer."""
    rng, arrays = np.random.default_rng(5), {}

    def layer(layer_type, **tensors):
        name = f"{layer_type}_{1 + sum(n.startswith(layer_type) for n in arrays):d}"
        arrays[name] = {key: value.astype(np.float32) for key, value in tensors.items()}

    def conv(k, i, o):
        layer("conv2d", kernel=rng.normal(0, (2 / (k * k * i)) ** 0.5, (k, k, i, o)))

    def norm(c):
        layer(
            "batch_normalization",
            gamma=rng.uniform(0.5, 1.5, c),
            beta=rng.normal(0, 0.2, c),
            moving_mean=rng.normal(0, 0.3, c),
            moving_variance=rng.uniform(0.5, 2, c),
        )

    conv(3, 3, 16)
    channels = 16
    for width in (16, 32, 64):
        for block in range(2):
            has_shortcut = block == 0 and channels != width
            norm(channels)
            conv(3, channels, width)
            norm(width)
            conv(3, width, width)
            if has_shortcut:
                conv(1, channels, width)
            channels = width
    norm(channels)
    for outputs in (2, 101):
        layer("dense", kernel=rng.normal(0, 0.01, (64 * (SIDE // 4) ** 2, outputs)))
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in arrays]
        for name, tensors in arrays.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [(f"{name}/{key}:0").encode() for key in tensors]
            for key, value in tensors.items():
                group[f"{name}/{key}:0"] = value
    return {name: {k: torch.from_numpy(v) for k, v in tensors.items()} for name, tensors in arrays.items()}


def pad_same(x, kernel, stride):
    """Keras' "same" padding; an odd pixel is added at the end."""
    total = max(0, (-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2])
    return F.pad(x, [total // 2, total - total // 2] * 2)


def keras_outputs(arrays, x):
    counts = {"conv2d": 0, "batch_normalization": 0}

    def next_layer(layer_type):
        counts[layer_type] += 1
        return arrays[f"{layer_type}_{counts[layer_type]}"]

    def conv(x, stride=1):
        kernel = next_layer("conv2d")["kernel"].permute(3, 2, 0, 1)
        return F.conv2d(pad_same(x, kernel.shape[2], stride), kernel, stride=stride)

    def norm_relu(x):
        n = next_layer("batch_normalization")
        return F.relu(F.batch_norm(x, n["moving_mean"], n["moving_variance"], n["gamma"], n["beta"], eps=1e-3))

    x = conv(x)
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(2):
            step, a = stride if block == 0 else 1, norm_relu(x)
            branch = conv(norm_relu(conv(a, step)))
            x = branch + (conv(a, step) if x.shape[1] != width else x)
    x = norm_relu(x)
    ones = F.avg_pool2d(pad_same(torch.ones_like(x), 8, 1), 8, 1)
    x = (F.avg_pool2d(pad_same(x, 8, 1), 8, 1) / ones).permute(0, 2, 3, 1).reshape(len(x), -1)
    return [x @ arrays[f"dense_{i}"]["kernel"] for i in (1, 2)]


def test_converted_net_agrees_with_the_definition(tmp_path):
    path = tmp_path / "wrn.hdf5"
    arrays = write_keras(path)
    weights = keras_h5.wide_resnet(path, 16, WIDTH, SIDE)
    net = Net.from_param(wideresnet.body(16, WIDTH, SIDE), caffe_pb2.TEST)
    x = np.random.default_rng(0).normal(0, 1, (2, 3, SIDE, SIDE)).astype(np.float32)
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, weights[name]):
            assert blob.count == array.size
            blob.data[...] = array.reshape(tuple(blob.shape))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    net.forward()
    for top, expected in zip(("pred_gender", "pred_age"), keras_outputs(arrays, torch.from_numpy(x))):
        np.testing.assert_allclose(net.blobs[top].data, expected.numpy(), rtol=1e-3, atol=1e-4)


def run(depth, width, side, weights, images):
    """[gender, age] probabilities of the Caffe net with converted weights; `images` is (N, H, W, C)."""
    from agegender.zoo.assemble import count_parameters

    net = Net.from_param(wideresnet.body(depth, width, side), caffe_pb2.TEST)
    for name, blobs in net.params.items():
        for blob, array in zip(blobs, weights[name]):
            assert tuple(blob.shape) == array.shape
            blob.data[...] = array
    net.blobs["data"].reshape(*images.transpose(0, 3, 1, 2).shape)
    net.blobs["data"].data[...] = images.transpose(0, 3, 1, 2)
    net.forward()
    logits = [np.array(net.blobs[name].data) for name in ("pred_gender", "pred_age")]
    exponentials = [np.exp(values - values.max(1, keepdims=True)) for values in logits]
    return [values / values.sum(1, keepdims=True) for values in exponentials], count_parameters(net)


def test_full_net_agrees_with_keras(tmp_path):
    """WRN-16-8 on 64x64 images, built, saved and run by Keras on JAX."""
    images = np.random.default_rng(3).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    files = [tmp_path / name for name in ("model.h5", "images.npy", "outputs.npz")]
    keras_env.run(keras_env.PROGRAM, "create", 16, 8, 64, *files)
    expected = np.load(files[-1])
    (gender, age), parameters = run(16, 8, 64, keras_h5.wide_resnet(files[0], 16, 8, 64), images)
    assert parameters == expected["parameters"] == 24463856
    for result, keras_result in ((gender, expected["gender"]), (age, expected["age"])):
        assert np.ptp(keras_result) > 0.01  # the outputs are not constant
        np.testing.assert_allclose(result, keras_result, rtol=0, atol=1e-4)


def test_invalid_files(tmp_path):
    write_keras(tmp_path / "wrn.hdf5")
    with pytest.raises(CaffeError, match="a WRN-22-1 has 21, 19 and 2"):
        keras_h5.wide_resnet(tmp_path / "wrn.hdf5", 22, 1, SIDE)
    (tmp_path / "no.hdf5").write_bytes(b"nothing")
    with pytest.raises(CaffeError, match="not a Keras HDF5 weight file"):
        keras_h5.wide_resnet(tmp_path / "no.hdf5", 16, 8, 64)


@pytest.mark.parametrize("damage", ["bomb", "external link", "no names", "names of numbers", "text"])
def test_damaged_files_raise(tmp_path, damage):
    path = tmp_path / "w.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = 5 if damage == "names of numbers" else [b"a"]
        group = file.create_group("a")
        if damage != "no names":
            group.attrs["weight_names"] = [b"a/w"]
        if damage == "bomb":
            group.create_dataset("a/w", shape=(2**16, 2**14), dtype="f4", chunks=(64, 64))
        elif damage == "external link":
            group["a/w"] = h5py.ExternalLink("/etc/hosts", "x")
        elif damage == "text":
            group["a/w"] = b"text"
    with pytest.raises(CaffeError, match="not a Keras HDF5 weight file"):
        keras_h5.wide_resnet(path, 16, WIDTH, SIDE)
