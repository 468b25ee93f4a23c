"""Groups of identical images in a small folder, and the numbers of the real data set."""

import subprocess

import cv2
import numpy as np
import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import duplicates, utkface
from agegender.errors import AgeGenderError


def put(folder, name, value):
    cv2.imwrite(str(folder / (name + ".jpg")), np.full((8, 8, 3), value, np.uint8))


def find(folder):
    samples = utkface.read_folder(folder).samples
    return duplicates.find(samples, duplicates.digests(samples))


def stamps(samples):
    return [int(sample.path.split("_")[-1].split(".")[0]) for sample in samples]


def test_one_of_a_group_is_kept_and_contradictions_are_dropped(tmp_path):
    stamp = 20170116000000000
    put(tmp_path, f"20_0_2_{stamp + 1}", 10)  # the same man twice
    put(tmp_path, f"20_0_2_{stamp + 2}", 10)
    put(tmp_path, f"21_1_2_{stamp + 3}", 50)  # one year apart, one class: kept once
    put(tmp_path, f"22_1_2_{stamp + 4}", 50)
    put(tmp_path, f"29_1_2_{stamp + 5}", 90)  # one year apart, two classes: dropped
    put(tmp_path, f"30_1_2_{stamp + 6}", 90)
    put(tmp_path, f"40_0_2_{stamp + 7}", 130)  # man and woman: dropped
    put(tmp_path, f"40_1_2_{stamp + 8}", 130)
    put(tmp_path, f"50_1_2_{stamp + 9}", 200)
    result = find(tmp_path)
    assert stamps(result.kept) == [stamp + 1, stamp + 3, stamp + 9]
    assert stamps(result.repeats) == [stamp + 2, stamp + 4]
    assert stamps(result.contradicting) == [stamp + 5, stamp + 6, stamp + 7, stamp + 8]
    assert (len(result.groups), result.class_groups, result.age_groups) == (4, 2, 2)


def test_error_lists_all_broken_files(tmp_path):
    put(tmp_path, "50_1_2_20170116000000009", 200)
    (tmp_path / "51_1_2_20170116000000009.jpg").write_bytes(b"")
    (tmp_path / "52_1_2_20170116000000009.jpg").write_bytes(b"<html>")
    with pytest.raises(AgeGenderError, match="2 of 3 files cannot be read(?s:.*)51_1_2(?s:.*)52_1_2"):
        find(tmp_path)


@needs_shared
def test_real_data_set_has_46_groups(tmp_path):
    archive = SHARED / "data" / "UTKFace_AsianOnly.tar.gz"
    subprocess.run(["tar", "xzf", str(archive), "-C", str(tmp_path)], check=True)
    result = find(tmp_path / "UTKFace_AsianOnly")
    assert (len(result.groups), result.class_groups, result.age_groups) == (46, 8, 12)
    assert len(result.kept) + result.class_groups == 3388
    assert len(result.kept) + len(result.repeats) + len(result.contradicting) == 3434
