"""Near-duplicates: changed copies of an image are found, different images of aligned faces are not."""

import json
import os
import subprocess

import cv2
import numpy as np
import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import build, duplicates, near_duplicates, split, split_lmdbs, utkface
from agegender.synthetic_faces import draw
from caffe.utils.cli import commands

CHANGES = {
    "same": lambda face: face,
    "compressed": lambda face: cv2.imdecode(
        cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR
    ),
    "smaller": lambda face: cv2.resize(face, (97, 97), interpolation=cv2.INTER_AREA),
    "mirrored": lambda face: face[:, ::-1],
    "moved": lambda face: np.roll(face, (2, -2), (0, 1)),
    "darker": lambda face: face // 2,
    "grey": lambda face: np.repeat(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)[..., None], 3, 2),
}


def put(folder, number, image, age=30, gender=0):
    """Write an image under a UTKFace name and return its Sample."""
    path = os.path.join(folder, f"{age}_{gender:d}_2_201701010000000{number:02d}.jpg")
    cv2.imwrite(path, image)
    return utkface.parse_name(path)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copy_is_found(tmp_path, change):
    others = [put(tmp_path, number, draw(20 + number, number % 2 == 0, number)) for number in range(12)]
    sample = put(tmp_path, 20, CHANGES[change](draw(25, False, 5)))
    assert near_duplicates.near_duplicates_across([sample], others) == {sample.path: others[5].path}
    assert near_duplicates.near_duplicates_across([sample], others[:5] + others[6:]) == {}


def test_images_without_structure_have_no_near_duplicates(tmp_path):
    flat = [put(tmp_path, number, np.full((40, 40, 3), 60 + number, np.uint8)) for number in range(4)]
    assert near_duplicates.near_duplicates_across(flat[:2], flat[2:]) == {}
    assert near_duplicates.near_duplicates_across([], flat) == {} == near_duplicates.near_duplicates_across(flat, [])


def test_block_size_does_not_change_the_result(tmp_path, monkeypatch):
    others = [put(tmp_path, number, draw(20 + number, True, number)) for number in range(6)]
    samples = [put(tmp_path, 20 + number, draw(20 + number, True, number)[:, ::-1]) for number in range(5)]
    expected = {sample.path: other.path for sample, other in zip(samples, others)}
    assert near_duplicates.near_duplicates_across(samples, others) == expected
    for name, value in (("ROWS", 2), ("COLUMNS", 4), ("IN_MEMORY", 10_000)):
        monkeypatch.setattr(near_duplicates, name, value)
    assert near_duplicates.near_duplicates_across(samples, others) == expected


def test_similarity_is_the_best_correlation_over_shifts():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, near_duplicates.SIDE, near_duplicates.SIDE)).astype(np.float32)
    other += np.roll(one, (2, -3), (0, 1))
    inner = one[6:-6, 6:-6].ravel()
    size = near_duplicates.SIDE - 12
    expected = max(
        np.corrcoef(inner, other[y : y + size, x : x + size].ravel())[0, 1] for y in range(13) for x in range(13)
    )
    assert near_duplicates.similarity(one, other) == pytest.approx(expected, abs=1e-4)


def put_mirrored_pairs(folder):
    """Write forty faces and a mirrored copy of each, so that any split separates some of the pairs."""
    for number in range(40):
        face = draw(2 * number + 5, number % 2 == 0, number)
        put(folder, number, face, 2 * number + 5, number % 2)
        put(folder, 40 + number, face[:, ::-1], 2 * number + 5, number % 2)


def build_lists(exclude):
    """(near-duplicates of the manifest, names in the age test list)."""
    build.build(build.Settings("faces", exclude_near_duplicates=exclude))
    with open("data/DEF/manifest.json", encoding="utf-8") as stream:
        manifest = json.load(stream)
    with open("data/DEF/age_test.txt", encoding="ascii") as stream:
        return manifest["near_duplicates"], {os.path.basename(line.split()[0]) for line in stream}


def test_build_reports_or_excludes_near_duplicates(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.makedirs("faces")
    put_mirrored_pairs("faces")
    near, all_names = build_lists(False)
    also_near, remaining = build_lists(True)
    assert near and near == also_near
    for name, other in near.items():
        assert name[:-6] == other[:-6] and abs(int(name[-6:-4]) - int(other[-6:-4])) == 40
    assert all_names - remaining == set(near) and len(all_names) == 16
    argv = ["build-dataset", "--faces", "faces", "--exclude-near-duplicates"]
    assert commands.main("agegender.cli", "agegender", argv) == 0
    assert f"{len(near)} test images are near-duplicates of training images" in capsys.readouterr().err
    assert commands.main("agegender.cli", "agegender", [*argv, "--no-near-duplicates"]) == 1
    assert "needs the search that --no-near-duplicates leaves out" in capsys.readouterr().err
    argv = ["build-dataset", "--faces", "faces", "--no-near-duplicates"]
    assert commands.main("agegender.cli", "agegender", argv) == 0
    manifest = json.loads((tmp_path / "data/DEF/manifest.json").read_text())
    assert manifest["near_duplicates"] is None and not manifest["settings"]["near_duplicates"]
    assert "near-duplicates were not looked for" in capsys.readouterr().err
    argv = ["build-dataset", "--faces", "faces", "--exclude-near-duplicates"]
    assert commands.main("agegender.cli", "agegender", [*argv, "--compat"]) == 1
    assert "use one of them" in capsys.readouterr().err


def test_recipes_exclude_near_duplicates_from_the_test_set(tmp_path):
    put_mirrored_pairs(tmp_path)
    train, test, _, near = split_lmdbs.parts(tmp_path, (2,), 3)
    assert near and len(train) == 64 and len(test) == 16 - len(near)
    assert not near_duplicates.near_duplicates_across(test, train)


def test_find_duplicates_compares_the_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    faces = [draw(25, True, 1), draw(1, False, 2), draw(70, True, 3)]
    put(tmp_path, 1, faces[0], 25, 0)
    put(tmp_path, 2, faces[0][:, ::-1], 31, 0)  # another age class
    put(tmp_path, 3, faces[1], 1, 0)
    put(tmp_path, 4, faces[1], 2, 1)  # equal files: another gender and age
    put(tmp_path, 5, faces[2], 70, 0)
    argv = ["find-duplicates", "--faces", str(tmp_path), "--csv", "pairs.csv"]
    assert commands.main("agegender.cli", "agegender", argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 images, 2 pairs of one photograph"
    counts = {"0 to 2": "1", "3 to 9": "0", "10 to 59": "1", "60 to 116": "0", "0 to 116": "2"}
    assert [tuple(line.split("\t")[:2]) for line in lines[2:]] == list(counts.items())
    assert lines[-1].split("\t")[2:] == ["1 (50 %; 95 %: 9 to 91)"] * 2
    rows = [line.split(",") for line in (tmp_path / "pairs.csv").read_text().splitlines()]
    assert [row[3] for row in rows] == ["differs in", "gender age", "class age"] and rows[1][0] == "1.000"


@needs_shared
def test_real_data_set_has_near_duplicates(tmp_path):
    archive = SHARED / "data" / "UTKFace_AsianOnly.tar.gz"
    subprocess.run(["tar", "xzf", str(archive), "-C", str(tmp_path)], check=True)
    samples = utkface.read_folder(tmp_path / "UTKFace_AsianOnly").samples
    train, test = split.stratified(duplicates.find(samples, duplicates.digests(samples)).kept)
    near = near_duplicates.near_duplicates_across(test, train)
    assert len(test) == 676 and len(near) == 23
    stems = {
        os.path.basename(path).split(".")[0]: os.path.basename(other).split(".")[0] for path, other in near.items()
    }
    # inspected by eye: two crops of one portrait of a woman, once labelled as a man
    assert stems["30_0_2_20170116172833941"] == "27_1_2_20170116163755263"


def test_the_search_takes_bounded_memory(monkeypatch):
    """Its peak is far below the fine structures of all references, of which two are the image that is looked for."""
    import tracemalloc

    for name, value in (("COLUMNS", 32), ("IN_MEMORY", 1000)):
        monkeypatch.setattr(near_duplicates, name, value)
    rng, count, side = np.random.default_rng(8), 400, near_duplicates.SIDE
    repeated = rng.integers(0, 256, (side, side), np.uint8)
    tracemalloc.start()
    with near_duplicates.Structures() as query, near_duplicates.Structures() as references:
        query.append(repeated)
        for number in range(count):
            references.append(repeated if number in (100, 300) else rng.integers(0, 256, (side, side), np.uint8))
        pairs = [(row, column) for row, column, _ in near_duplicates.similar_rows(query, references)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs == [(0, 100), (0, 300)]
    assert peak < count * side * side * 2  # half of the float32 structures
