"""classify: an image, a folder and an array give the predictions of Classifier."""

import cv2
import numpy as np
import pytest

import caffe
from caffe import tools

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4
  weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "net.caffemodel"))
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), rng.integers(0, 256, (9, 8, 3), np.uint8))
    np.save(tmp_path / "mean.npy", rng.uniform(100, 130, (3, 8, 8)).astype(np.float32))
    return tmp_path


def classify(folder, source, *flags):
    out = folder / "out.npy"
    status = tools.main(
        ["classify", str(source), str(out), "--model_def", str(folder / "net.prototxt")]
        + ["--pretrained_model", str(folder / "net.caffemodel"), "--images_dim", "8,8", *flags]
    )
    return np.load(out) if status == 0 else status


def test_folder_image_and_array(folder, capsys):
    files = sorted((folder / "images").iterdir())
    images = [caffe.io.load_image(str(file)) for file in files]
    classifier = caffe.Classifier(
        str(folder / "net.prototxt"),
        str(folder / "net.caffemodel"),
        image_dims=[8, 8],
        raw_scale=255,
        mean=np.load(folder / "mean.npy").mean(1).mean(1),
        channel_swap=(2, 1, 0),
    )
    mean = ["--mean_file", str(folder / "mean.npy")]
    expected = classifier.predict(images)
    np.testing.assert_allclose(classify(folder, folder / "images", "--ext", "png", *mean), expected, rtol=1e-5)
    np.testing.assert_allclose(classify(folder, files[1], *mean), expected[1:2], rtol=1e-5)
    np.save(folder / "in.npy", np.stack(images))
    center = classify(folder, folder / "in.npy", "--center_only", *mean)
    np.testing.assert_allclose(center, classifier.predict(images, False), rtol=1e-5)
    out = capsys.readouterr().out
    assert "CPU mode" in out and "Classifying 3 inputs." in out and "Saving results into" in out


@pytest.mark.parametrize(
    "source, flags, message",
    [
        ("images", [], "no image *.jpg"),
        ("net.prototxt", [], "net.prototxt"),
        ("mean.npy", [], "must contain images"),
        ("images", ["--images_dim", "8"], "--images_dim expects 2 integers"),
        ("images", ["--mean_file", "none.npy"], "none.npy"),
    ],
)
def test_errors(folder, source, flags, message, capsys):
    assert classify(folder, folder / source, *flags) == 1
    assert message in capsys.readouterr().err and not (folder / "out.npy").exists()
