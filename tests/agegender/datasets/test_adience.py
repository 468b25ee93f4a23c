"""Adience: parsing of fold files, label policies, lists without leaks; test_published_facts has the real numbers."""

import pytest

from agegender.datasets import adience
from agegender.errors import AgeGenderError

HEADER = "\t".join(adience.COLUMNS)


def row(user, face, age="(25, 32)", gender="f", fold=0, image="a.jpg"):
    return adience.Row(fold, user, image, face, age, gender, (0, 0, 9, 9), 0, 0, 50)


def test_read_fold_parses_rows_and_paths(tmp_path):
    (tmp_path / "f.txt").write_text(HEADER + "\n7@N0\tb.jpg\t12\t(0, 2)\tm\t1\t2\t3\t4\t-115\t30\t17\n")
    (row,) = adience.read_fold(tmp_path / "f.txt", 3)
    assert row == adience.Row(3, "7@N0", "b.jpg", 12, "(0, 2)", "m", (1, 2, 3, 4), -115, 30, 17)
    assert row.path() == "7@N0/landmark_aligned_face.12.b.jpg"
    assert row.path(adience.TILTED) == "7@N0/coarse_tilt_aligned_face.12.b.jpg"


def test_read_fold_reports_all_faulty_lines(tmp_path):
    (tmp_path / "f.txt").write_text(HEADER + "\na\tb\n\nc\td\tx\t1\tm\t1\t2\t3\t4\t5\t6\t7\n")
    with pytest.raises(AgeGenderError, match=r"(?s)f.txt:2: expected 12 .* 2 cells.*f.txt:4: .* 12 cells"):
        adience.read_fold(tmp_path / "f.txt", 0)
    (tmp_path / "g.txt").write_text("user\n")
    with pytest.raises(AgeGenderError, match="g.txt:1: expected the columns user_id"):
        adience.read_fold(tmp_path / "g.txt", 0)
    with pytest.raises(AgeGenderError, match="no such fold file"):
        adience.read_folds(tmp_path)


@pytest.mark.parametrize(
    ("age", "published", "meant", "paper", "zealerww", "full"),
    [
        ("(60, 100)", 7, 7, 7, 7, 7),
        ("(25, 23)", None, 4, None, None, 4),
        ("13", None, None, 2, 2, 2),
        ("(38, 42)", None, None, 5, 5, 5),
        ("(38, 48)", None, None, None, 5, 5),
        ("(27, 32)", None, None, None, 4, 4),
        ("3", None, None, None, 0, 0),
        ("58", None, None, None, 6, 6),
        ("None", None, None, None, None, None),
    ],
)
def test_age_class_under_policies(age, published, meant, paper, zealerww, full):
    classes = [adience.age_class(row("u", 1, age), policy) for policy in adience.POLICIES]
    assert classes == [published, meant, paper, zealerww, full]


def test_gender_class_under_policies():
    assert [adience.gender_class(row("u", 1, gender=g)) for g in ("m", "f", "u", "")] == [0, 1, None, None]
    assert adience.gender_class(row("u", 1, "(25, 23)"), "zealerww") is None
    assert adience.age_class(row("u", 1, "13", ""), "zealerww") is None
    with pytest.raises(AgeGenderError, match="published"):
        adience.age_class(row("u", 1), "strict")


def test_lists_have_no_repeats_and_no_user_in_two_parts():
    rows = [row(f"u{i % 25}", i, fold=i % 25 % 5) for i in range(500)]
    rows += rows[:20]
    lists = adience.make_lists(rows, 2, "age")
    train, val, test = ({path for path, _ in part} for part in lists[:3])
    assert len(train) + len(val) + len(test) == 500 == sum(map(len, lists[:3]))
    users = [{path.split("/")[0] for path in part} for part in (train, val, test)]
    assert not users[0] & users[1] and not users[0] & users[2] and len(users[2]) == 5
    assert lists == adience.make_lists(rows, 2, "age")


def test_compat_loses_a_row_like_the_published_script():
    rows = [row(f"u{i}", i, fold=i % 5) for i in range(100)]
    lists = adience.make_lists(rows, 0, "gender", compat=True)
    assert [len(part) for part in lists] == [71, 8, 20, 7]


def test_report_finds_leaks_and_conflicts():
    rows = [row("a", 1, fold=0), row("a", 1, "(0, 2)", fold=0), row("a", 2, fold=1), row("b", 2, fold=1)]
    assert adience.report(rows) == adience.Report(4, 1, 1, 2, 2, ["a"], [])
    assert adience.disagreements([("a/landmark_aligned_face.2.a.jpg", 3), ("c/x", 0)], rows, "age") == [
        "a/landmark_aligned_face.2.a.jpg: expected class 4 by the fold files, received 3",
        "c/x: in no fold file",
    ]
