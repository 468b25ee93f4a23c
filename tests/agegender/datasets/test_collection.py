"""Collections: labels from UTKFace's names, a pattern, a table or folders; what cannot be read is reported."""

import os

import pytest

from agegender.datasets import collection
from agegender.errors import AgeGenderError


@pytest.fixture
def make(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / "faces" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return str(tmp_path / "faces")

    return make


def labels(found):
    return [(os.path.basename(s.path), s.age, s.gender and int(s.gender), s.race) for s in found.samples]


def test_utkface_names_are_the_default(make):
    folder = make("30_1_2_20170101000000001.jpg", "sub/4_0_3_20170101000000002.jpg.chip.jpg", "x.jpg", "notes.txt")
    found = collection.read(folder)
    assert {(s.age, int(s.gender), s.race) for s in found.samples} == {(30, 1, 2), (4, 0, 3)}
    assert len(found.skipped) == 1 and "x.jpg" in found.skipped[0] and found.years


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{age}_{gender}_{*}.jpg", "31_f_0001.jpg", (31, 1, None)),
        ("{*}-{gender}{age}.png", "anna-male07.png", (7, 0, None)),
        ("{group}/{age}.{*}.jpg", "asian/64.a.jpg", (64, None, 2)),
        ("{gender}.jpeg", "F.jpeg", (None, 1, None)),
        ("a+({age}){*}", "a+(9).jpg", (9, None, None)),
    ],
)
def test_a_pattern_names_the_labels(make, pattern, name, expected):
    (sample,) = collection.read(make(name), pattern).samples
    assert (sample.age, sample.gender, sample.race) == expected


def test_files_that_do_not_match_are_skipped_with_the_reason(make):
    found = collection.read(make("30_m.jpg", "300_m.jpg", "40_x.jpg", "other.jpg"), "{age}_{gender}.jpg")
    assert labels(found) == [("30_m.jpg", 30, 0, None)]
    reasons = "\n".join(found.skipped)
    assert "expected an age from 0 to 116, received '300'" in reasons
    assert "expected a gender (m, male, 0, f, female, 1), received 'x'" in reasons
    assert "other.jpg: not named {age}_{gender}.jpg" in reasons


@pytest.mark.parametrize("pattern", ["{years}.jpg", "{age}_{age}.jpg", "face.jpg", "{*}.jpg"])
def test_a_pattern_without_labels_is_rejected(make, pattern):
    with pytest.raises(AgeGenderError, match="expected {age} or {gender}"):
        collection.read(make("30.jpg"), pattern)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_names_the_labels(make, tmp_path, delimiter):
    folder = make("a.jpg", "b/c.png")
    rows = [("Image", "Sex", "real_age"), ("a.jpg", "female", "31.7"), ("b/c.png", "0", ""), ("d.jpg", "m", "3")]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(map(delimiter.join, rows)) + "\n\n")
    found = collection.read(folder, table=str(table))
    assert labels(found) == [("a.jpg", 31, 1, None), ("c.png", None, 0, None)]
    assert found.skipped == [f"{table}:4: no such file 'd.jpg' in {folder}"]


@pytest.mark.parametrize("header", ["", "a,b", "file", "age,gender"])
def test_a_table_without_the_columns_is_rejected(make, tmp_path, header):
    (tmp_path / "t.csv").write_text(header + "\n")
    with pytest.raises(AgeGenderError, match="expected a header with the columns file and age or gender"):
        collection.read(make("a.jpg"), table=str(tmp_path / "t.csv"))


def test_folders_name_the_classes(make):
    folder = make("20-29/female/a.jpg", "(48, 53)/b.jpg", "male/c.jpg", "7/d.jpg", "80+/male/e.jpg", "other/f.jpg")
    found = collection.read(folder)
    assert sorted(labels(found)) == [
        ("a.jpg", 24, 1, None),
        ("b.jpg", 50, None, None),
        ("c.jpg", None, 0, None),
        ("d.jpg", 7, None, None),
        ("e.jpg", 80, 0, None),
    ]
    assert not found.years and found.skipped == ["other/f.jpg: no age and no gender"]
    assert collection.read(make("9/x.jpg") + "/9/..").years is False


def test_a_folder_without_labels_is_an_error(make, tmp_path):
    with pytest.raises(AgeGenderError, match="expected labelled faces, received none of 1 files\n  .*x.jpg"):
        collection.read(make("x.jpg"))
    with pytest.raises(AgeGenderError, match="no such directory"):
        collection.read(str(tmp_path / "missing"))
    with pytest.raises(AgeGenderError, match="no such directory"):
        collection.unlabelled(str(tmp_path / "missing"))
