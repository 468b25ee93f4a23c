"""classify: a picture, a folder and an array give what Classifier gives."""

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
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / "pictures" / ("%d.png" % i)), rng.integers(0, 256, (9, 8, 3), np.uint8))
    np.save(tmp_path / "mean.npy", rng.uniform(100, 130, (3, 8, 8)).astype(np.float32))
    return tmp_path


def classify(folder, source, *more):
    out = folder / "out.npy"
    status = tools.main(
        ["classify", str(source), str(out), "--model_def", str(folder / "net.prototxt")]
        + ["--pretrained_model", str(folder / "net.caffemodel"), "--images_dim", "8,8", *more]
    )
    return np.load(out) if status == 0 else status


def test_folder_picture_and_array(folder, capsys):
    files = sorted((folder / "pictures").iterdir())
    images = [caffe.io.load_image(str(file)) for file in files]
    classifier = caffe.Classifier(
        str(folder / "net.prototxt"), str(folder / "net.caffemodel"), image_dims=[8, 8], raw_scale=255,
        mean=np.load(folder / "mean.npy").mean(1).mean(1), channel_swap=(2, 1, 0),
    )  # fmt: skip
    mean = ["--mean_file", str(folder / "mean.npy")]
    expected = classifier.predict(images)
    np.testing.assert_allclose(classify(folder, folder / "pictures", "--ext", "png", *mean), expected, rtol=1e-5)
    np.testing.assert_allclose(classify(folder, files[1], *mean), expected[1:2], rtol=1e-5)
    np.save(folder / "in.npy", np.stack(images))
    centre = classify(folder, folder / "in.npy", "--center_only", *mean)
    np.testing.assert_allclose(centre, classifier.predict(images, False), rtol=1e-5)
    out = capsys.readouterr().out
    assert "CPU mode" in out and "Classifying 3 inputs." in out and "Saving results into" in out


@pytest.mark.parametrize(
    "source, more, said",
    [
        ("pictures", [], "no picture *.jpg"),
        ("net.prototxt", [], "net.prototxt"),
        ("mean.npy", [], "must hold pictures"),
        ("pictures", ["--images_dim", "8"], "--images_dim takes 2 numbers"),
        ("pictures", ["--mean_file", "none.npy"], "none.npy"),
    ],
)
def test_faults(folder, source, more, said, capsys):
    assert classify(folder, folder / source, *more) == 1
    assert said in capsys.readouterr().err and not (folder / "out.npy").exists()
