"""`classification`: the lines of Caffe's C++ example, with numbers from a NumPy calculation."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import caffe
from caffe.data.mean import write_mean
from caffe.tools import main

NET = """input: "data" input_shape { dim: 10 dim: %d dim: 2 dim: 2 }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 6 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture(params=[1, 3])
def files(request, tmp_path, monkeypatch):
    """The arguments, and the weights of the net."""
    channels, rng = request.param, np.random.default_rng(5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy.prototxt").write_text(NET % channels)
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    net.params["ip"][0].data[...] = rng.normal(size=(6, 4 * channels)) / 100
    net.save("net.caffemodel")
    write_mean("mean.binaryproto", rng.uniform(90, 120, (channels, 5, 7)).astype(np.float32))
    (tmp_path / "labels.txt").write_text("".join(f"n{i} tabby, cat {i}\n" for i in range(6)))
    cv2.imwrite("img.png", rng.integers(256, size=(4, 4, 3), dtype=np.uint8))
    return ["deploy.prototxt", "net.caffemodel", "mean.binaryproto", "labels.txt", "img.png"], net


def test_predictions(files, capsys):
    words, net = files
    assert main(["classification", *words]) == 0
    channels = net.blobs["data"].shape[1]
    image = cv2.imread("img.png", cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE)
    image = cv2.resize(image, (2, 2)).reshape(2, 2, channels).astype(np.float64)
    mean = caffe.io.blobproto_to_array(
        caffe.proto.caffe_pb2.BlobProto.FromString(Path("mean.binaryproto").read_bytes())
    )
    pixels = (image - mean.reshape(channels, -1).mean(1)).transpose(2, 0, 1).ravel()
    scores = np.exp(net.params["ip"][0].data @ pixels + net.params["ip"][1].data)
    probabilities = scores / scores.sum()
    expected = [f'{probabilities[i]:.4f} - "n{i} tabby, cat {i}"' for i in np.argsort(-probabilities)[:5]]
    assert capsys.readouterr().out.splitlines() == ["---------- Prediction for img.png ----------", *expected]


@pytest.mark.parametrize(
    "index, content, message",
    [
        (3, "a\nb\n", "2 labels"),
        (3, None, "labels file"),
        (4, "no image", "img.png: truncated or not an image"),
        (4, None, "img.png"),
    ],
)
def test_errors_are_one_line(files, tmp_path, index, content, message, capsys):
    path = tmp_path / files[0][index]
    path.unlink()
    if content is not None:
        path.write_text(content)
    capsys.readouterr()
    assert main(["classification", *files[0]]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1 and message in errors[0]
