"""Nets for detection and segmentation: their manifests, boxes and masks, compared with the Net itself."""

import json

import cv2
import numpy as np
import pytest
from support import small_ssd

import caffe
from agegender.cli import main
from agegender.inference import objects
from caffe.data import datum
from caffe.data.boxes import record
from caffe.data.db import create_db
from caffe.errors import CaffeError
from caffe2ncs import Model
from ncs.cli import main as ncs
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest

MASK = small_ssd.layer(
    'name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 12, 16] } }'
) + small_ssd.layer(
    'name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param { num_output: 4 kernel_size: 3 '
    'pad: 1 weight_filler { type: "gaussian" std: 0.1 } }'
)


def compiled(folder, name, text):
    """Compile a net with seeded weights; return the net."""
    (folder / f"{name}.prototxt").write_text(text)
    caffe.set_random_seed(8)
    net = caffe.Net(str(folder / f"{name}.prototxt"), caffe.TEST)
    net.save(str(folder / f"{name}.caffemodel"))
    command = [
        "compile",
        f"{folder}/{name}.prototxt",
        "-w",
        f"{folder}/{name}.caffemodel",
        "--no-blob",
        "--scale",
        "0.01",
    ]
    assert ncs([*command, "-o", f"{folder}/{name}"]) == 0
    return net


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    image = np.random.default_rng(4).integers(0, 256, (60, 96, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "a.png"), image)
    return folder


@pytest.fixture(scope="module")
def ssd(folder):
    return compiled(folder, "ssd", small_ssd.deploy())


def test_boxes_equal_the_rows_of_the_net(folder, ssd):
    manifest = Manifest.read(folder / "ssd.json")
    assert manifest.decoder == "detections" and manifest.labels == ["0", "1", "2"]
    image = cv2.imread(str(folder / "a.png"))
    ssd.blobs["data"].data[...] = cv2.resize(image, (48, 48)).transpose(2, 0, 1) * 0.01
    rows = ssd.forward()["detection_out"][0, 0]
    with objects.ObjectPredictor(manifest, "CPU", threshold=0.2) as predictor:
        found = predictor.predict_array(image).objects
    best = sorted((row for row in rows if row[2] >= 0.2), key=lambda row: -row[2])
    assert len(found) == len(best) > 2
    for one, row in zip(found, best):
        assert one.index == row[1] and one.score == pytest.approx(row[2], abs=2e-3)
        np.testing.assert_allclose(one.box, np.clip(row[3:], 0, 1) * [96, 60, 96, 60], atol=1.01)


def test_rows_end_at_the_first_minus_one():
    rows = np.array(
        [[0, 1, 0.6, 0, 0, 0.5, 1], [0, 9, 0.9, 0.5, 0, 1.2, 1], [-1, 0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1, 1]]
    )
    found = objects.decode_detections(rows, ["background", "cat"], (10, 20), 0.5)
    assert [(one.label, one.box) for one in found] == [("9", (10, 0, 20, 10)), ("cat", (0, 0, 10, 10))]


def test_a_mask_has_the_best_class_of_each_pixel(folder):
    net = compiled(folder, "mask", MASK)
    image = cv2.imread(str(folder / "a.png"))
    [result] = Model(str(folder / "mask.json"), device="CPU").predict(image)
    net.blobs["data"].data[...] = cv2.resize(image, (16, 12)).transpose(2, 0, 1) * 0.01
    expected = net.forward()["score"][0].argmax(0)
    assert result.mask.shape == (60, 96)
    assert (result.mask[2::5, 3::6] == expected).mean() > 0.97
    assert sum(result.to_dict()["classes"].values()) == pytest.approx(1)
    assert result.plot().shape == image.shape


def test_run_inference_prints_and_draws(folder, ssd, capsys):
    command = ["predict", "--model", f"{folder}/ssd.json", "--image_path", f"{folder}/a.png", "--device", "CPU"]
    assert main([*command, "--threshold", "0.2", "--output", f"{folder}/out.png"]) == 0
    assert "%, box (" in capsys.readouterr().out
    drawn = cv2.imread(str(folder / "out.png"))
    assert (drawn != cv2.imread(str(folder / "a.png"))).any()
    assert main([*command, "--threshold", "0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objects"][0]["score"] >= 0.2


def test_val_of_the_nets_own_boxes_is_perfect(folder, ssd, tmp_path):
    model = Model(str(folder / "ssd.json"), device="CPU")
    image = cv2.imread(str(folder / "a.png"))
    rows = model._object_predictor().detections(image)
    boxes = np.array([[row[1], 0, *row[3:], 0] for row in rows], np.float32)
    with create_db(tmp_path / "db", "lmdb") as writer:
        value = datum.encode(np.ascontiguousarray(image.transpose(2, 0, 1)), 0)
        writer.put(b"0", record.encode(value, boxes))
    metrics = model.val(str(tmp_path / "db"))
    assert metrics.mean_average_precision == pytest.approx(1) and metrics.images == 1
    assert sum(metrics.boxes.values()) == len(rows) > 2
    with pytest.raises(CaffeError, match="report= is for nets for classification"):
        model.val(str(tmp_path / "db"), report=str(tmp_path / "r"))


def test_val_of_a_mask(folder, tmp_path):
    compiled(folder, "mask", MASK)
    model = Model(str(folder / "mask.json"), device="CPU")
    image = cv2.imread(str(folder / "a.png"))
    mask = model.predict(image)[0].mask
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "label.png"), mask.astype(np.uint8))
    (tmp_path / "list.txt").write_text("a.png label.png\n")
    metrics = model.val(str(tmp_path / "list.txt"))
    assert (metrics.mean_iou, metrics.accuracy) == (1, 1)
    assert metrics.confusion_matrix.sum() == mask.size
    assert len(str(metrics).splitlines()) == len(metrics.iou) + 2


def test_other_manifests_are_refused(folder, ssd, tmp_path):
    manifest = Manifest.read(folder / "ssd.json")
    manifest.decoder, manifest.folder = "argmax", str(tmp_path)
    with pytest.raises(NcsError, match="expected decoder detections or mask, received 'argmax'"):
        objects.ObjectPredictor(manifest)
