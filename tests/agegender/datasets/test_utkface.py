"""UTKFace's file names: regular ones, the eight irregular ones of the data set, and the counts of the Asian subset."""

import collections
import tarfile

import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import utkface
from agegender.errors import AgeGenderError
from agegender.inference.labels import Gender

INCOMPLETE = [  # four of the eight irregular names of the complete aligned set
    "39_1_20170116174525125.jpg.chip.jpg",
    "61_1_20170109142408075.jpg.chip.jpg",
    "61_1_20170109150557335.jpg.chip.jpg",
    "24_0_1_20170116220224657",
]
IRREGULAR_STAMP = [  # the other four have a valid age, gender and race
    "14_0_0_2017011022340900.jpg.chip.jpg",
    "28_1_2_201701161846515488.jpg.chip.jpg",
    "38_0_1_201701162330572788.jpg.chip.jpg",
    "55_0_0_20170116232725357jpg.chip.jpg",
]


@pytest.mark.parametrize("ending", [".jpg", ".jpg.chip.jpg"])
def test_regular_name(ending):
    sample = utkface.parse_name("a/b/26_1_2_20170116184024662" + ending)
    assert (sample.age, sample.gender, sample.race, sample.age_class) == (26, Gender.FEMALE, 2, 2)
    assert sample.path == "a/b/26_1_2_20170116184024662" + ending


@pytest.mark.parametrize("name", INCOMPLETE)
def test_incomplete_name_is_refused(name):
    with pytest.raises(AgeGenderError) as caught:
        utkface.parse_name("x/" + name)
    assert str(caught.value).startswith(name + ": not named [age]")


@pytest.mark.parametrize("name", IRREGULAR_STAMP)
def test_irregular_stamp_is_accepted_and_reported(name):
    sample = utkface.parse_name(name)
    assert [sample.age, int(sample.gender), sample.race] == [int(field) for field in name.split("_")[:3]]
    assert utkface.irregular_stamp(name).startswith(name + ": the time stamp ")


@pytest.mark.parametrize(
    "name, text",
    [
        ("117_0_0_20170116220224657.jpg", "age 117 is not in 0..116"),
        ("20_3_0_20170116220224657.jpg", "gender 3 is neither"),
        ("20_0_7_20170116220224657.jpg", "race 7 is not in 0..4"),
        ("20_0_20170116220224657.jpg", "expected 4 fields, received 3"),
        ("20_3_9_1.jpg", "gender 3 .*race 9 "),
        ("20_m_2_20170116220224657.jpg", "a field is not a number"),
    ],
)
def test_error_lists_everything_wrong_with_a_name(name, text):
    with pytest.raises(AgeGenderError, match=text):
        utkface.parse_name(name)


def test_parse_races():
    assert utkface.parse_races("asian") == (2,)
    assert utkface.parse_races("Indian, white") == (0, 3)
    assert utkface.parse_races("all") == (0, 1, 2, 3, 4)
    with pytest.raises(AgeGenderError, match="unknown race 'martian'; expected white, black"):
        utkface.parse_races("asian,martian")


def test_folder_names():
    assert utkface.folder_name((2,)) == "UTKFace_AsianOnly"
    assert utkface.folder_name((0, 3)) == "UTKFace_WhiteIndian"
    assert utkface.folder_name((0, 1, 2, 3, 4)) == "UTKFace_All"


def test_read_folder_sorts_samples_and_reports_the_rest(tmp_path):
    regular = ["9_0_2_20170116184024662.jpg", "30_1_0_20170116184024662.jpg"]
    for name in [*regular, *INCOMPLETE, *IRREGULAR_STAMP, "a.txt"]:
        (tmp_path / name).write_bytes(b"")
    folder = utkface.read_folder(tmp_path)
    assert [sample.age for sample in folder.samples] == [14, 28, 30, 38, 55, 9]
    assert len(folder.skipped) == 4 and len(folder.irregular) == 4
    asian = utkface.read_folder(tmp_path, (2,))
    assert [sample.age for sample in asian.samples] == [28, 9] and len(asian.irregular) == 1


def test_missing_folder_error_names_the_remedy(tmp_path):
    with pytest.raises(AgeGenderError, match="no such folder of images; ./download.sh downloads one"):
        utkface.read_folder(tmp_path / "none")


@needs_shared
def test_all_names_of_the_real_subset_parse():
    with tarfile.open(SHARED / "data" / "UTKFace_AsianOnly.tar.gz") as archive:
        folder = utkface.read_names([member.name for member in archive if member.isfile()], (2,))
    samples = folder.samples
    assert len(samples) == 3434 and folder.skipped == []
    assert len(folder.irregular) == 1 and folder.irregular[0].startswith("28_1_2_201701161846515488.jpg.chip.jpg")
    ages = collections.Counter(sample.age_class for sample in samples)
    assert [ages[index] for index in range(9)] == [929, 96, 1329, 527, 157, 115, 95, 84, 102]
    genders = collections.Counter(sample.gender for sample in samples)
    assert genders == {Gender.MALE: 1575, Gender.FEMALE: 1859}


@needs_shared
def test_real_incomplete_names_are_skipped():
    files = sorted((SHARED / "data" / "utkface_malformed").iterdir())
    folder = utkface.read_folder(files[0].parent)
    assert len(files) == 3 and folder.samples == [] and len(folder.skipped) == 3
