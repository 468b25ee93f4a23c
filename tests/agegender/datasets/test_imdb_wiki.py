"""IMDB-WIKI: SciPy writes the metadata, our reader gives it back; filters count; databases carry both labels."""

import datetime

import cv2
import numpy as np
import pytest

from agegender.datasets import imdb_wiki, matfile
from agegender.errors import AgeGenderError
from caffe.data import datum
from caffe.data.db import open_db

ROWS = [  # born, taken, path, gender, score, second score
    ("1981-05-05", 2009, "17/10000217_1981-05-05_2009.jpg", 1, 4.3, np.nan),
    ("1981-07-01", 2009, "18/2_1981-07-01_2009.jpg", 0, 1.0, np.nan),
    ("1950-01-01", 2000, "a/3_no_face.jpg", 1, -np.inf, np.nan),
    ("1950-01-01", 2000, "a/4_doubtful.jpg", 1, 0.99, 2.0),
    ("1950-01-01", 2000, "a/5_two_faces.jpg", 1, 2.0, 1.5),
    ("1990-01-01", 1980, "a/6_before_birth.jpg", 1, 2.0, np.nan),
    ("1850-01-01", 1980, "a/7_too_old.jpg", 1, 2.0, np.nan),
    ("1950-01-01", 2000, "a/8_untold.jpg", np.nan, 2.0, np.nan),
    ("1950-06-30", 2000, "a/9_ä_1950.jpg", 0, 2.0, -1.0),
]


def matlab_day(text):
    return datetime.date.fromisoformat(text).toordinal() + 366


def table():
    paths = np.empty((1, len(ROWS)), object)
    paths[0] = [row[2] for row in ROWS]
    return {
        "dob": np.array([[matlab_day(row[0]) for row in ROWS]], np.int32),
        "photo_taken": np.array([[row[1] for row in ROWS]], np.uint16),
        "full_path": paths,
        "gender": np.array([[row[3] for row in ROWS]], np.float64),
        "face_score": np.array([[row[4] for row in ROWS]], np.float64),
        "second_face_score": np.array([[row[5] for row in ROWS]], np.float64),
        "face_location": np.ones((1, len(ROWS))),
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_metadata_that_scipy_wrote(tmp_path, compressed):
    savemat = pytest.importorskip("scipy.io").savemat
    path = tmp_path / "wiki.mat"
    savemat(path, {"wiki": table(), "note": "text", "numbers": np.arange(6.0).reshape(2, 3)}, do_compression=compressed)
    found = matfile.read(path)
    assert found["note"] == "text" and found["numbers"].tolist() == [[0, 1, 2], [3, 4, 5]]
    read = imdb_wiki.read_mat(path)
    assert read["full_path"] == [row[2] for row in ROWS]
    assert read["photo_taken"].dtype == np.uint16
    kept = imdb_wiki.keep(read)
    assert [face.age for face in kept.faces] == [28, 27, 50]
    assert [face.gender for face in kept.faces] == [1, 0, 0]
    assert kept.dropped == {"face score": 2, "second face": 1, "age": 2, "gender": 1}


def test_a_year_before_birth_does_not_wrap():
    assert imdb_wiki.age(np.uint16(1980), np.int32(matlab_day("1990-01-01"))) == -10
    assert imdb_wiki.age(np.uint16(2009), matlab_day("1981-06-30")) == 28
    assert imdb_wiki.age(np.uint16(2009), matlab_day("1981-07-01")) == 27
    assert imdb_wiki.age(5, 3) == 4  # days before the calendar's first count as it


@pytest.mark.parametrize(("content", "fault"), [(b"", "not a MATLAB"), (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "HDF5")])
def test_other_files_are_refused(tmp_path, content, fault):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(AgeGenderError, match=fault):
        imdb_wiki.read_mat(tmp_path / "x.mat")


def test_damaged_metadata_is_refused(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "wiki.mat", {"wiki": table()})
    whole = (tmp_path / "wiki.mat").read_bytes()
    rng = np.random.default_rng(2)
    for cut in range(130, len(whole), 97):
        (tmp_path / "cut.mat").write_bytes(whole[:cut])
        with pytest.raises(AgeGenderError):
            imdb_wiki.read_mat(tmp_path / "cut.mat")
    for _ in range(60):
        changed = bytearray(whole)
        for at in rng.integers(128, len(whole), 8):
            changed[at] = rng.integers(256)
        (tmp_path / "changed.mat").write_bytes(changed)
        try:
            imdb_wiki.read_mat(tmp_path / "changed.mat")
        except AgeGenderError:
            continue


def test_a_split_keeps_people_together():
    faces = [imdb_wiki.Face("0%d/nm%07d_rm%d_1950-1-1_1990.jpg" % (i % 3, i % 40, i), 40, 1) for i in range(400)]
    train, held = imdb_wiki.split(faces)
    assert len(train) + len(held) == 400 and 40 <= len(held) < 60
    assert not {imdb_wiki.subject(f) for f in train} & {imdb_wiki.subject(f) for f in held}
    assert imdb_wiki.subject(imdb_wiki.Face("17/10000217_1981-05-05_2009.jpg", 1, 1)) == "10000217"


def test_databases_carry_pictures_and_both_labels(tmp_path):
    faces = []
    for i in range(5):
        cv2.imwrite(str(tmp_path / ("%d.png" % i)), np.full((20, 30, 3), (i, 2 * i, 3 * i), np.uint8))
        faces.append(imdb_wiki.Face("%d.png" % i, 10 * i, i % 2))
    faces.append(imdb_wiki.Face("none.png", 5, 0))
    broken = imdb_wiki.to_lmdb(faces, str(tmp_path), str(tmp_path / "wiki"), size=8)
    assert broken == ["none.png"]
    with open_db(str(tmp_path / "wiki_data_lmdb")) as pictures, open_db(str(tmp_path / "wiki_labels_lmdb")) as labels:
        pairs = list(zip(pictures, labels))
    assert len(pairs) == 5
    for (key, picture), (other, label) in pairs:
        i = int(key[9:].split(b".")[0])
        assert key == other
        planes = datum.decode(picture)[0]
        assert planes.shape == (3, 8, 8) and planes[:, 0, 0].tolist() == [i, 2 * i, 3 * i]
        assert datum.decode(label)[0].ravel().tolist() == [i % 2, 10 * i]
