"""File names of UTKFace: regular ones, the eight irregular ones of the real set, the real subset's counts."""

import collections
import tarfile

import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import utkface
from agegender.errors import AgeGenderError
from agegender.inference.labels import Gender

SAYS_TOO_LITTLE = [  # four of the eight irregular names of the complete aligned set
    "39_1_20170116174525125.jpg.chip.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
    "24_0_1_20170116220224657",
]
ODD_STAMP = [  # the other four: age, gender and race are plain
    "14_0_0_2017011022340900.jpg.chip.jpg",
    "28_1_2_201701161846515488.jpg.chip.jpg",
    "38_0_1_201701162330572788.jpg.chip.jpg",
    "55_0_0_20170116232725357jpg.chip.jpg",
]


@pytest.mark.parametrize("ending", [".jpg", ".jpg.chip.jpg"])
def test_a_regular_name(ending):
    sample = utkface.parse_name("a/b/26_1_2_20170116184024662" + ending)
    assert (sample.age, sample.gender, sample.race, sample.age_class) == (26, Gender.FEMALE, 2, 2)
    assert sample.path == "a/b/26_1_2_20170116184024662" + ending


@pytest.mark.parametrize("name", SAYS_TOO_LITTLE)
def test_an_irregular_name_is_refused_by_name(name):
    with pytest.raises(AgeGenderError) as fault:
        utkface.parse_name("x/" + name)
    assert str(fault.value).startswith(name + ": not named [age]")


@pytest.mark.parametrize("name", ODD_STAMP)
def test_a_name_with_an_odd_stamp_is_taken_and_told(name):
    sample = utkface.parse_name(name)
    assert [sample.age, int(sample.gender), sample.race] == [int(field) for field in name.split("_")[:3]]
    assert utkface.odd_stamp(name).startswith(name + ": the time stamp ")


@pytest.mark.parametrize(
    "name, text",
    [
        ("117_0_0_20170116220224657.jpg", "age 117 is not in 0..116"),
        ("20_3_0_20170116220224657.jpg", "gender 3 is neither"),
        ("20_0_7_20170116220224657.jpg", "race 7 is not in 0..4"),
        ("20_0_20170116220224657.jpg", "3 fields where 4 are due"),
        ("20_3_9_1.jpg", "gender 3 .*race 9 "),
        ("20_m_2_20170116220224657.jpg", "a field is not a number"),
    ],
)
def test_all_faults_of_a_name_are_told(name, text):
    with pytest.raises(AgeGenderError, match=text):
        utkface.parse_name(name)


def test_races():
    assert utkface.races("asian") == (2,)
    assert utkface.races("Indian, white") == (0, 3)
    assert utkface.races("all") == (0, 1, 2, 3, 4)
    with pytest.raises(AgeGenderError, match="no race 'martian'; allowed are white, black"):
        utkface.races("asian,martian")


def test_folder_names():
    assert utkface.folder_name((2,)) == "UTKFace_AsianOnly"
    assert utkface.folder_name((0, 3)) == "UTKFace_WhiteIndian"
    assert utkface.folder_name((0, 1, 2, 3, 4)) == "UTKFace_All"


def test_a_folder_gives_samples_sorted_and_lists_the_rest(tmp_path):
    regular = ["9_0_2_20170116184024662.jpg", "30_1_0_20170116184024662.jpg"]
    for name in [*regular, *SAYS_TOO_LITTLE, *ODD_STAMP, "a.txt"]:
        (tmp_path / name).write_bytes(b"")
    found = utkface.read_folder(tmp_path)
    assert [sample.age for sample in found.samples] == [14, 28, 30, 38, 55, 9]
    assert len(found.skipped) == 4 and len(found.odd) == 4
    asian = utkface.read_folder(tmp_path, (2,))
    assert [sample.age for sample in asian.samples] == [28, 9] and len(asian.odd) == 1


def test_no_folder_says_what_to_do(tmp_path):
    with pytest.raises(AgeGenderError, match="no such folder of pictures; ./download.sh makes it"):
        utkface.read_folder(tmp_path / "none")


@needs_shared
def test_the_real_subset_parses_whole():
    with tarfile.open(SHARED / "data" / "UTKFace_AsianOnly.tar.gz") as archive:
        found = utkface.read_names([member.name for member in archive if member.isfile()], (2,))
    samples = found.samples
    assert len(samples) == 3434 and found.skipped == []
    assert len(found.odd) == 1 and found.odd[0].startswith("28_1_2_201701161846515488.jpg.chip.jpg")
    ages = collections.Counter(sample.age_class for sample in samples)
    assert [ages[index] for index in range(9)] == [929, 96, 1329, 527, 157, 115, 95, 84, 102]
    genders = collections.Counter(sample.gender for sample in samples)
    assert genders == {Gender.MALE: 1575, Gender.FEMALE: 1859}


@needs_shared
def test_the_real_irregular_files_are_refused():
    files = sorted((SHARED / "data" / "utkface_malformed").iterdir())
    found = utkface.read_folder(files[0].parent)
    assert len(files) == 3 and found.samples == [] and len(found.skipped) == 3
