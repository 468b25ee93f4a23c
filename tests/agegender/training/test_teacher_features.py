"""Features of published nets: rows equal the net's own blobs, and only missing ones are computed."""

import cv2
import numpy as np
import pytest
import torch

from agegender import zoo
from agegender.datasets.sample import Sample
from agegender.inference import image_files, predict
from agegender.inference.faces import face_settings
from agegender.synthetic_faces import draw
from agegender.training import teacher_features
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.weights.snapshot import write_caffemodel

torch.set_num_threads(1)


@pytest.fixture
def samples(tmp_path):
    found = [Sample(str(tmp_path / f"{number}.png"), 20 + number) for number in range(19)]
    for sample in found:
        cv2.imwrite(sample.path, draw(sample.age, True, sample.age))
    return found


def test_rows_are_the_features_and_logits_of_the_net(samples, tmp_path, monkeypatch):
    (gender,) = zoo.resolve("dlib-gender")
    torch.manual_seed(2)
    net = Net.from_param(gender.body(), caffe_pb2.TEST)
    weights = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    path = str(tmp_path / "dlib-gender.caffemodel")
    write_caffemodel(path, gender.body(), weights)
    monkeypatch.setattr(teacher_features.download, "weights_of", lambda net: path)
    rows = teacher_features.of("dlib-gender", samples, str(tmp_path / "kept"))
    assert rows.shape == (19, 18) and rows.dtype == np.float32
    transform = gender.transform()
    for sample, row in zip(samples, rows):
        net.blobs["data"].data[0] = transform.image(
            predict.with_margin(image_files.read_image(sample.path), face_settings.margin(transform))
        )
        net.forward()
        expected = np.concatenate([net.blobs["features"].data[0], net.blobs["gender_logits"].data[0]])
        assert np.abs(row - expected).max() < 0.02 * max(
            1, np.abs(expected).max()
        )  # bf16 where the CPU has it, float16


def test_only_missing_rows_are_computed_and_the_order_is_that_of_the_samples(samples, tmp_path, monkeypatch):
    seen = []

    def compute(nets, part, title):
        seen.append([sample.age for sample in part])
        return np.array([[sample.age, -sample.age] for sample in part], np.float32)

    monkeypatch.setattr(teacher_features, "_compute", compute)
    monkeypatch.setattr(teacher_features, "SAVE_EVERY", 8)
    folder = str(tmp_path / "kept")
    teacher_features.of("dlib", samples[:10], folder)
    rows = teacher_features.of("dlib", samples[::-1], folder)
    assert seen == [list(range(20, 28)), [28, 29], list(range(38, 30, -1)), [30]]
    assert rows[:, 0].tolist() == [sample.age for sample in samples[::-1]]
