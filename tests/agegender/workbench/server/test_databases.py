"""Pages of records against a plain loop over the database; the index; thumbnails."""

import cv2
import numpy as np
import pytest
from support import workbench_root as wr

from agegender.errors import AgeGenderError
from agegender.workbench.server import databases
from agegender.workbench.tasks import index as index_task
from caffe.data import datum
from caffe.data.db import create_db, open_db


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "some_lmdb")
    wr.write_database(path, 31)
    return path


def records(path):
    with open_db(path) as db:
        return [(key, datum.decode(value)) for key, value in db]


def test_pages_are_the_database_in_order(database):
    expected = [(key, label) for key, (_, label) in records(database)]
    found, after = [], b""
    while True:
        page = databases.page(database, after, 7)
        found += list(zip(page.keys, page.labels))
        if page.after is None:
            break
        after = page.after
    assert found == expected


def test_page_after_a_key_that_is_gone(database):
    assert databases.page(database, b"00004_z", 1).keys == [b"00005_face.png"]
    assert databases.page(database, b"zzz").keys == []


def test_page_does_not_read_the_other_records(database, monkeypatch):
    read = []
    monkeypatch.setattr(databases, "label_of", lambda value: read.append(1) or 0)
    databases.page(database, b"00010_face.png", 5)
    assert len(read) == 5


def test_image_is_the_record(database):
    key, (planes, _) = records(database)[3]
    np.testing.assert_array_equal(databases.image(database, key), planes.transpose(1, 2, 0))
    with pytest.raises(AgeGenderError, match="no record"):
        databases.image(database, b"missing")


def test_replaced_database_is_opened_again(database):
    assert databases.length(database) == 31
    with create_db(database, overwrite=True) as db:
        db.put(b"only", datum.encode(np.zeros((3, 4, 4), np.uint8), 5))
    assert databases.page(database).keys == [b"only"]


@pytest.mark.parametrize("shape,expected", [((3, 40, 20), (40, 20, 3)), ((1, 8, 9), (8, 9)), ((5, 6, 7), (6, 7, 3))])
def test_to_image(shape, expected):
    planes = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert databases.to_image(planes).shape == expected


def test_thumbnail_keeps_the_aspect():
    picture = np.full((100, 50, 3), 200, np.uint8)
    shown = cv2.imdecode(np.frombuffer(databases.jpeg(picture, 40), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (40, 20, 3) and abs(int(shown.mean()) - 200) <= 2


def test_index_has_all_labels_and_near_duplicates(database, tmp_path):
    target = str(tmp_path / "index.npz")
    index_task.main([database, target])
    index = databases.read_index(target, database)
    expected = [(key, label) for key, (_, label) in records(database)]
    assert list(zip(index.keys, index.labels.tolist())) == expected
    assert index.counts() == {label: sum(row[1] == label for row in expected) for label in range(9)}
    groups = index.duplicates()
    first = {key for key, _ in groups[0]}
    assert {b"00000_face.png", b"00030_face.png"} <= first  # the same image with labels 0 and 3
    assert len({label for _, label in groups[0]}) > 1


def test_pages_of_a_class(database, tmp_path):
    target = str(tmp_path / "index.npz")
    index_task.main([database, target])
    index = databases.read_index(target, database)
    expected = [key for key, (_, label) in records(database) if label == 2]
    chosen = index.of_class(2)
    page = index.page(chosen, b"", 2)
    assert page.keys == expected[:2] and page.after == expected[1]
    rest = index.page(chosen, page.after, 100)
    assert rest.keys == expected[2:] and rest.after is None
    assert index.page(chosen, b"00011_z", 1).keys == [key for key in expected if key > b"00011_z"][:1]


def test_index_of_a_replaced_database_is_ignored(database, tmp_path):
    target = str(tmp_path / "index.npz")
    index_task.main([database, target])
    with create_db(database, overwrite=True) as db:
        db.put(b"only", datum.encode(np.zeros((3, 4, 4), np.uint8), 5))
    assert databases.read_index(target, database) is None
    assert databases.read_index(str(tmp_path / "missing.npz"), database) is None
