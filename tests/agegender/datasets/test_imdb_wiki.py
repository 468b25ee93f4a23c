"""IMDB-WIKI: metadata written by SciPy is read back; filters count; databases hold both labels."""

import datetime

import cv2
import numpy as np
import pytest

from agegender import cli
from agegender.datasets import imdb_wiki, matlab
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
    ("1950-01-01", 2000, "a/8_unknown.jpg", np.nan, 2.0, np.nan),
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
def test_reads_metadata_written_by_scipy(tmp_path, compressed):
    savemat = pytest.importorskip("scipy.io").savemat
    path = tmp_path / "wiki.mat"
    savemat(path, {"wiki": table(), "note": "text", "numbers": np.arange(6.0).reshape(2, 3)}, do_compression=compressed)
    variables = matlab.read(path)
    assert variables["note"] == "text" and variables["numbers"].tolist() == [[0, 1, 2], [3, 4, 5]]
    columns = imdb_wiki.read_mat(path)
    assert columns["full_path"] == [row[2] for row in ROWS]
    assert columns["photo_taken"].dtype == np.uint16
    kept = imdb_wiki.keep(columns)
    assert [face.age for face in kept.faces] == [28, 27, 50]
    assert [face.gender for face in kept.faces] == [1, 0, 0]
    assert kept.dropped == {"face score": 2, "second face": 1, "age": 2, "gender": 1}


def test_a_year_before_birth_does_not_wrap():
    assert imdb_wiki.age(np.uint16(1980), np.int32(matlab_day("1990-01-01"))) == -10
    assert imdb_wiki.age(np.uint16(2009), matlab_day("1981-06-30")) == 28
    assert imdb_wiki.age(np.uint16(2009), matlab_day("1981-07-01")) == 27
    assert imdb_wiki.age(5, 3) == 4  # earlier days are clamped to the first day of the calendar


@pytest.mark.parametrize(("content", "message"), [(b"", "not a MATLAB"), (b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "HDF5")])
def test_other_file_formats_are_refused(tmp_path, content, message):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(AgeGenderError, match=message):
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
        for offset in rng.integers(128, len(whole), 8):
            changed[offset] = rng.integers(256)
        (tmp_path / "changed.mat").write_bytes(changed)
        try:
            imdb_wiki.read_mat(tmp_path / "changed.mat")
        except AgeGenderError:
            continue


def test_split_keeps_people_together():
    faces = [imdb_wiki.Face(f"0{i % 3}/nm{i % 40:07d}_rm{i}_1950-1-1_1990.jpg", 40, 1) for i in range(400)]
    train, val = imdb_wiki.split(faces)
    assert len(train) + len(val) == 400 and 40 <= len(val) < 60
    assert not {imdb_wiki.subject(f) for f in train} & {imdb_wiki.subject(f) for f in val}
    assert imdb_wiki.subject(imdb_wiki.Face("17/10000217_1981-05-05_2009.jpg", 1, 1)) == "10000217"


def archive(folder, people=12):
    """An unpacked wiki_crop: wiki.mat and a small PNG per row. Person k has gender k % 2 and is 20 + k in 2000."""
    savemat = pytest.importorskip("scipy.io").savemat
    crop = folder / "wiki_crop"
    (crop / "00").mkdir(parents=True)
    rows = [(k, 2000 + i) for k in range(people) for i in range(3)]
    paths = np.empty((1, len(rows)), object)
    paths[0] = [f"00/{k}_{1980 - k}-01-01_{taken}.png" for k, taken in rows]
    for (k, taken), path in zip(rows, paths[0]):
        cv2.imwrite(str(crop / path), np.full((20, 30, 3), (k, taken - 2000, 7), np.uint8))
    table = {
        "dob": np.array([[matlab_day(f"{1980 - k}-01-01") for k, _ in rows]], np.int32),
        "photo_taken": np.array([[taken for _, taken in rows]], np.uint16),
        "full_path": paths,
        "gender": np.array([[k % 2 for k, _ in rows]], float),
        "name": paths,
        "face_location": paths,
        "face_score": np.array([[3.0] * (len(rows) - 1) + [-np.inf]]),
        "second_face_score": np.full((1, len(rows)), np.nan),
    }
    savemat(crop / "wiki.mat", {"wiki": table})
    return rows[:-1]


def records(path):
    """([(person, year taken)], [(gender, age)], {shape}) of a database."""
    with open_db(str(path)) as db:
        decoded = [datum.decode_labels(value, 2) for _, value in db]
    people = [(int(planes[0, 0, 0]), 2000 + int(planes[1, 0, 0])) for planes, _ in decoded]
    return people, [tuple(map(int, labels)) for _, labels in decoded], {planes.shape for planes, _ in decoded}


def test_create_db_writes_databases_with_two_labels(tmp_path, capsys):
    rows = archive(tmp_path)
    argv = ["imdb-wiki", "create-db", "--data", str(tmp_path), "-o", str(tmp_path / "db"), "--img_size", "8"]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert "rows: 36\ndropped for face score:        1\n" in out and "kept: 35 (18 female, 17 male)" in out
    parts = train, val = [records(tmp_path / f"db_{part}_lmdb") for part in ("train", "val")]
    assert sorted(train[0] + val[0]) == rows  # every face once
    assert not {k for k, _ in train[0]} & {k for k, _ in val[0]} and len(val[0]) in (4, 5, 6)
    for people, labels, shapes in parts:
        assert labels == [(k % 2, taken - 1980 + k) for k, taken in people] and shapes == {(3, 8, 8)}
    assert train[0] != sorted(train[0])
    content = (tmp_path / "db_train_lmdb" / "data.mdb").read_bytes()
    assert cli.main([*argv, "--workers", "3"]) == 0
    assert (tmp_path / "db_train_lmdb" / "data.mdb").read_bytes() == content


def test_data_layer_reads_both_labels(tmp_path):
    import caffe

    archive(tmp_path)
    assert cli.main(["imdb-wiki", "create-db", "--data", str(tmp_path)]) == 0
    text = """layer { name: "data" type: "Data" top: "data" top: "gender" top: "age"
        data_param { source: "%s" backend: LMDB batch_size: 31 } }""" % (tmp_path / "wiki_train_lmdb")
    (tmp_path / "net.prototxt").write_text(text)
    out = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).forward()
    assert out["data"].shape == (31, 3, 64, 64)
    k = out["data"][:, 0, 0, 0]
    np.testing.assert_array_equal(out["gender"], k % 2)
    np.testing.assert_array_equal(out["age"], out["data"][:, 1, 0, 0] + 20 + k)


def test_compat_and_csv(tmp_path, capsys):
    rows = archive(tmp_path)
    assert cli.main(["imdb-wiki", "create-db", "--data", str(tmp_path), "--compat"]) == 0
    people, _, shapes = records(tmp_path / "wiki_val_lmdb")
    assert sorted(people) == rows[31:] and shapes == {(3, 32, 32)}
    lines = ["genders,ages,img_paths", "1,30,00/0_1980-01-01_2000.png", "0,31,00/1_1979-01-01_2001.png", "0,9,none.png"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    argv = ["imdb-wiki", "create-db", "--data", str(tmp_path), "--meta", str(tmp_path / "m.csv")]
    argv += ["--validation_split", "0.3"]
    assert cli.main(argv) == 1 and "left out" in capsys.readouterr().err
    assert cli.main([*argv, "--allow_broken"]) == 0
    assert sum(len(records(tmp_path / f"wiki_{part}_lmdb")[0]) for part in ("train", "val")) == 2


def test_invalid_input_is_reported(tmp_path, capsys):
    (tmp_path / "m.csv").write_text("genders,ages,img_paths\n1,30,a.png\n0,31,b.png\n2,31,b.png\n")
    for argv, message in (
        (["--meta", "none.csv"], "no such metadata"),
        ([], "imdb,wiki}_crop.tar"),
        (["--img_size", "0", "-o", "x.mat"], "expected a positive number of pixels, received 0; --output x.mat"),
        (
            ["--meta", str(tmp_path / "m.csv")],
            "m.csv:4: expected an age of 0..100, a gender of 0 or 1 and a path, received age 31, gender 2",
        ),
        (["--meta", str(tmp_path / "m.csv"), "--min_score", "2"], "holds no scores"),
    ):
        assert cli.main(["imdb-wiki", "create-db", "--data", str(tmp_path), *argv]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / "m.csv").write_text("genders,ages,img_paths\n1,30,a.png\n0,31,b.png\n")
    assert cli.main(["imdb-wiki", "create-db", "--data", str(tmp_path), "--meta", str(tmp_path / "m.csv")]) == 1
    assert "none of 1 images can be read" in capsys.readouterr().err and not list(tmp_path.glob("*lmdb*"))
