"""Building lists, copies and the manifest from a folder of small faces; reproducible, also after a killed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from agegender.datasets import build, lists
from agegender.errors import AgeGenderError
from caffe.errors import CaffeError
from caffe.utils.cli import commands

COUNTS = [(9, 6), (2, 1), (12, 18), (3, 5), (1, 0), (0, 0), (2, 2), (0, 2), (1, 2)]
BLOCK = (
    "Number of image per age class:\n0-9\t10-19\t20-29\t30-39\t40-49\t50-59\t60-69\t70-79\t80-120\n"
    "--------------------------------------------------------------\n%s\n"
    "Number of image per gender class:\nMale\tFemale\n--------------\n%s\n"
)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A current folder with data/UTKFace_AsianOnly: 66 distinct images and three that must be left out."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "UTKFace_AsianOnly"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    stamp = 20170116000000000
    for age, gender_counts in enumerate(COUNTS):
        for gender, count in enumerate(gender_counts):
            for _ in range(count):
                stamp += 1
                name = f"{10 * age + 4}_{gender:d}_2_{stamp}.jpg.chip.jpg"
                cv2.imwrite(str(folder / name), rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
    first = sorted(folder.iterdir())[0]
    duplicate, other_race = f"{first.name.rsplit('_', 1)[0]}_{stamp + 1}", f"5_0_1_{stamp}"
    for stem in (duplicate, other_race, "39_1_20170116174525125"):
        (folder / f"{stem}.jpg.chip.jpg").write_bytes(first.read_bytes())
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(name):
    with open(f"data/DEF/{name}.txt", encoding="ascii") as stream:
        return [(line.rsplit(" ", 1)[0], int(line.rsplit(" ", 1)[1])) for line in stream]


def label_names(path):
    fields = os.path.basename(path).split("_")
    return {"age": min(int(fields[0]) // 10, 8), "gender": int(fields[1])}


def test_count_block_equals_the_original():
    before = {"age": [734, 78, 1066, 423, 126, 95, 76, 67, 82], "gender": [1260, 1487]}
    after = {"age": [1066, 1066, 1066, 1065, 1066, 1065, 1066, 1065, 1066], "gender": [5690, 3901]}
    expected = BLOCK % ("734\t78\t1066\t423\t126\t95\t76\t67\t82", "1260\t1487") + "\nAFTER OVERSAMPLING:\n"
    expected += BLOCK % ("1066\t1066\t1066\t1065\t1066\t1065\t1066\t1065\t1066", "5690\t3901")
    assert lists.count_block(before, after) == expected


def test_command_prints_the_block_and_the_next_step(workdir, capsys):
    assert commands.main("agegender.cli", "agegender", ["build-dataset"]) == 0
    captured = capsys.readouterr()
    ages = [sum(label == index for _, label in read("age_train")) for index in range(9)]
    genders = [sum(label == index for _, label in read("gender_train")) for index in range(2)]
    counts = tuple("\t".join(map(str, row)) for row in (ages, genders))
    assert captured.out.endswith("\nAFTER OVERSAMPLING:\n" + BLOCK % counts)
    assert "left out, incomplete name: 39_1_20170116174525125.jpg.chip.jpg" in captured.err
    assert "1 groups of byte-identical images: 0 contradict" in captured.err
    assert captured.err.endswith("Next: ./create_lmdb.sh\n")


def test_lists_name_existing_images_with_their_labels(workdir):
    build.build(build.Settings())
    for task in ("age", "gender"):
        lines = read(task + "_train") + read(task + "_test")
        assert all(path.startswith("./data/") and os.path.isfile(path) for path, _ in lines)
        assert all(label_names(path)[task] == label for path, label in lines)
        assert len(set(lines)) == len(lines)


def test_training_is_balanced_and_disjoint_from_test(workdir):
    summary = build.build(build.Settings())
    assert len(set(summary.after["age"]) - {0}) == 1 and len(set(summary.after["gender"])) == 1
    assert summary.before["gender"] != summary.after["gender"]
    for task in ("age", "gender"):
        test = {os.path.basename(path).split(".")[0] for path, _ in read(task + "_test")}
        train = {os.path.basename(path).split(".")[0] for path, _ in read(task + "_train")}
        assert test and not test & train
        assert not any("overSampling" in path for path, _ in read(task + "_test"))
    assert sorted(path for path, _ in read("age_test")) == sorted(path for path, _ in read("gender_test"))


def test_manifest_records_settings_and_counts(workdir):
    build.build(build.Settings())
    with open("data/DEF/manifest.json", encoding="utf-8") as stream:
        manifest = json.load(stream)
    assert manifest["faces"]["images"] == 67 and manifest["duplicates"]["distinct_images"] == 66
    assert manifest["duplicates"]["groups"] == 1 and manifest["settings"]["seed"] == 230
    assert len(manifest["faces"]["skipped_names"]) == 1
    assert manifest["lists"]["age_test.txt"]["lines"] == len(read("age_test")) == 66 - int(0.8 * 66)


@pytest.mark.parametrize("compat", [False, True])
def test_output_depends_neither_on_earlier_runs_nor_on_threads(workdir, compat):
    build.build(build.Settings(compat=compat), jobs=1)
    first = contents(workdir / "data")
    build.build(build.Settings(compat=not compat, seed=7), jobs=2)
    assert contents(workdir / "data") != first
    build.build(build.Settings(compat=compat), jobs=4)
    assert contents(workdir / "data") == first


@pytest.mark.parametrize("name", ["overSampling/mine.jpg", "DEF/mine.txt"])
def test_folder_with_files_of_the_user_is_not_replaced(workdir, name):
    build.build(build.Settings(), jobs=2)
    (workdir / "data" / name).write_bytes(b"mine")
    before = contents(workdir / "data")
    with pytest.raises(CaffeError, match=f"`agegender build-dataset`.*{os.path.basename(name)}"):
        build.build(build.Settings(seed=7), jobs=2)
    assert contents(workdir / "data") == before


def test_compat_follows_the_original_algorithm(workdir):
    """The reference is written from the description: one shuffled list, pairs of copies of image i % (len - 1)."""
    names = sorted(path.name for path in (workdir / "data" / "UTKFace_AsianOnly").glob("*_2_*"))
    random.seed(230)
    random.shuffle(names)
    train, test = names[: int(0.8 * len(names))], names[int(0.8 * len(names)) :]
    groups = [[name for name in train if label_names(name)["age"] == index] for index in range(9)]
    largest = max(map(len, groups))
    expected = []
    for group in groups:
        for i in range((largest - len(group)) // 2 if group else 0):
            source = group[i % max(len(group) - 1, 1)]
            expected += [source[:-4] + "_flipH", source[:-4] + "_noise"]
    build.build(build.Settings(compat=True))
    for task in ("age", "gender"):
        lines = [os.path.basename(path) for path, _ in read(task + "_train")]
        assert lines[: len(train)] == train
        copies = [name[:-4].rsplit("_", 2) for name in lines[len(train) :]]
        assert sorted(f"{stem}_{suffix}" for stem, _, suffix in copies) == sorted(expected)
        assert [os.path.basename(path) for path, _ in read(task + "_test")] == test


def test_too_few_images_of_a_race_are_refused(workdir):
    with pytest.raises(AgeGenderError, match="UTKFace_AsianOnly: expected at least 2 images .*, received 1 "):
        build.build(build.Settings(races=(1,)))
    assert not (workdir / "data" / "DEF").exists()


def test_a_failed_run_keeps_the_previous_lists(workdir):
    build.build(build.Settings())
    first = contents(workdir / "data" / "DEF")
    (workdir / "data" / "UTKFace_AsianOnly" / "7_0_2_20170116000000000.jpg").write_bytes(b"broken")
    with pytest.raises(AgeGenderError, match="7_0_2_20170116000000000.jpg"):
        build.build(build.Settings(seed=5))
    assert contents(workdir / "data" / "DEF") == first


@pytest.mark.parametrize("fraction", ["0", "1", "-3"])
def test_a_fraction_outside_0_1_is_refused(workdir, fraction, capsys):
    assert commands.main("agegender.cli", "agegender", ["build_dataset", "--train", fraction]) == 1
    assert "expected a fraction between 0 and 1" in capsys.readouterr().err


def test_rerun_after_kill_gives_the_same_files(workdir):
    command = [sys.executable, "-m", "agegender", "build-dataset", "--jobs", "1"]
    subprocess.run(command, check=True, capture_output=True)
    expected = contents(workdir / "data")
    for pattern in ("data/.overSampling.*/age/*", "data/.overSampling.*/gender/*", "data/.DEF.*/*"):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list(workdir.glob(pattern)) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.0005)
        child.send_signal(signal.SIGKILL)
        child.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert contents(workdir / "data") == expected


def test_read_list_accepts_spaces_in_names(tmp_path):
    (tmp_path / "list.txt").write_text("./data/a b.jpg 3\nc.jpg 10\n")
    assert lists.read_list(tmp_path / "list.txt") == [("./data/a b.jpg", 3), ("c.jpg", 10)]
    (tmp_path / "list.txt").write_text("a.jpg 3\nno-class.jpg\n")
    with pytest.raises(AgeGenderError, match="list.txt:2: expected a path and a class, received 'no-class.jpg"):
        lists.read_list(tmp_path / "list.txt")
