"""convert_annoset: VOC's, COCO's and text annotations become the same records."""

import json

import cv2
import numpy as np
import pytest
from support.reference_lmdb import rows

from caffe.data.boxes import record
from caffe.proto import caffe_pb2
from caffe.tools import main

XML = """<annotation><size><width>40</width><height>20</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object>
<object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>40</xmax><ymax>20</ymax></bndbox></object></annotation>"""
LABELS = """item { name: "background" label: 0 } item { name: "cat" label: 1 } item { name: "dog" label: 2 }"""
BOXES = [[1, 0, 0.1, 0.25, 0.5, 0.75, 0], [2, 0, 0, 0, 1, 1, 1]]


@pytest.fixture
def folder(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    (tmp_path / "a.xml").write_text(XML)
    (tmp_path / "labels.prototxt").write_text(LABELS)
    (tmp_path / "list.txt").write_text("a.png a.xml\n")
    return tmp_path


def convert(folder, *flags, listing="list.txt", name="db"):
    command = ["convert_annoset", *flags, f"{folder}/", str(folder / listing), str(folder / name)]
    return main(command), folder / name


def test_boxes_of_voc(folder):
    status, db = convert(folder, f"--label_map_file={folder}/labels.prototxt", "--check_label")
    [(key, value)] = rows(db)
    pixels, boxes = record.decode(value)
    assert status == 0 and key == b"00000000_a.png"
    np.testing.assert_allclose(boxes, BOXES, atol=1e-6)
    np.testing.assert_array_equal(pixels.transpose(1, 2, 0), cv2.imread(str(folder / "a.png")))


def test_the_record_is_an_annotated_datum(folder):
    """Read with the message of SSD's schema instead of `record.decode`."""
    _, db = convert(folder, f"--label_map_file={folder}/labels.prototxt", "--encoded")
    message = caffe_pb2.AnnotatedDatum.FromString(rows(db)[0][1])
    assert message.type == caffe_pb2.AnnotatedDatum.BBOX and message.datum.encoded
    assert [group.group_label for group in message.annotation_group] == [1, 2]
    assert message.annotation_group[1].annotation[0].bbox.difficult
    assert message.annotation_group[0].annotation[0].bbox.xmax == pytest.approx(0.5)


def test_resizing_does_not_change_the_boxes(folder):
    (folder / "a.txt").write_text("1 4 5 20 15\n")
    (folder / "list.txt").write_text("a.png a.txt\n")
    _, db = convert(folder, "--label_type=txt", "--resize_height=10", "--resize_width=10")
    pixels, boxes = record.decode(rows(db)[0][1])
    assert pixels.shape == (3, 10, 10)
    np.testing.assert_allclose(boxes, BOXES[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        (["--min_dim=30"], (30, 60)),
        (["--max_dim=30"], (15, 30)),
        (["--min_dim=30", "--max_dim=50"], (25, 50)),  # max_dim has precedence
        (["--min_dim=10", "--max_dim=90", "--resize_height=5", "--resize_width=5"], (20, 40)),
    ],
)
def test_limits_of_the_sides_keep_the_proportions(folder, flags, size):
    _, db = convert(folder, f"--label_map_file={folder}/labels.prototxt", "--encoded", *flags)
    pixels, boxes = record.decode(rows(db)[0][1])
    assert pixels.shape == (3, *size)
    np.testing.assert_allclose(boxes, BOXES, atol=1e-6)


def coco_image():
    return {"image": {"height": 20, "width": 40}, "annotation": coco_boxes()}


def coco_boxes():
    boxes = [{"bbox": [4, 5, 16, 10], "category_id": 7}, {"bbox": [0, 0, 40, 20], "category_id": 9, "iscrowd": 1}]
    return [dict(box, image_id=3) for box in boxes]


def test_boxes_of_coco_by_image(folder):
    (folder / "a.json").write_text(json.dumps(coco_image()))
    (folder / "list.txt").write_text("a.png a.json\n")
    (folder / "ids.prototxt").write_text('item { name: "7" label: 1 } item { name: "9" label: 2 }')
    _, db = convert(folder, "--label_type=json", f"--label_map_file={folder}/ids.prototxt")
    np.testing.assert_allclose(record.decode(rows(db)[0][1])[1], BOXES, atol=1e-6)


def test_boxes_of_coco_in_one_file(folder):
    categories = [{"id": 9, "name": "dog"}, {"id": 7, "name": "cat"}]
    images = [{"id": 3, "file_name": "a.png", "height": 20, "width": 40}]
    data = {"images": images, "annotations": coco_boxes(), "categories": categories}
    (folder / "instances.json").write_text(json.dumps(data))
    status, db = convert(folder, listing="instances.json")
    assert status == 0
    np.testing.assert_allclose(record.decode(rows(db)[0][1])[1], BOXES, atol=1e-6)


def test_an_image_without_annotation_has_no_boxes(folder, capfd):
    (folder / "list.txt").write_text("a.png missing.xml\n")
    _, db = convert(folder)
    assert record.decode(rows(db)[0][1])[1].shape == (0, 7)
    assert "missing.xml does not exist" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.xml", "<annotation>", "a.xml: not an annotation of type xml"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><annotation/>', "entities are not supported"),
        ("list.txt", "a.png\n", "list.txt:1: expected `image annotation`, received 'a.png'"),
        ("labels.prototxt", 'item { name: "cat" label: 1 }', "'dog' is not in the label map (cat)"),
        ("labels.prototxt", 'item { name: "a" label: 1 } item { name: "a" }', "labels.prototxt: 'a' is given twice"),
    ],
)
def test_faults(folder, capfd, name, content, message):
    (folder / name).write_text(content)
    status, db = convert(folder, f"--label_map_file={folder}/labels.prototxt", "--check_label")
    assert status == 1 and not db.exists()
    assert message in capfd.readouterr().err
