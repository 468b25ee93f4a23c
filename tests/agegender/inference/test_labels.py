"""Labels against table 0.1-0.2 of the sources, typed in anew here."""

import subprocess
import sys

import numpy as np
import pytest

from agegender.errors import AgeGenderError
from agegender.inference import labels
from agegender.inference.labels import AGE_ADIENCE, AGE_TRINGN, AGE_YEARS, Gender


@pytest.mark.parametrize("age", range(0, 121))
def test_nine_classes_are_decades_up_to_eighty(age):
    assert AGE_TRINGN.index_of_age(age) == min(age // 10, 8)


def test_adience_has_gaps():
    ages = {0: 0, 2: 0, 3: None, 7: None, 8: 2, 13: None, 60: 7, 100: 7, 101: None}
    assert {age: AGE_ADIENCE.index_of_age(age) for age in ages} == ages


def test_names_as_the_sources_spell_them():
    assert " ".join(AGE_TRINGN.names) == "0-9 10-19 20-29 30-39 40-49 50-59 60-69 70-79 80-120"
    adience = "(0, 2) (4, 6) (8, 12) (15, 20) (25, 32) (38, 43) (48, 53) (60, 100)"
    assert " ".join(AGE_ADIENCE.names) == adience
    assert len(AGE_YEARS) == 101


@pytest.mark.parametrize(
    "source, zero, one",
    [
        ("utkface", Gender.MALE, Gender.FEMALE),
        ("adience", Gender.MALE, Gender.FEMALE),
        ("onnx-googlenet", Gender.MALE, Gender.FEMALE),
        ("imdb-wiki", Gender.FEMALE, Gender.MALE),
        ("onnx-vgg16", Gender.FEMALE, Gender.MALE),
    ],
)
def test_sources_disagree_about_gender(source, zero, one):
    assert labels.gender_of(source, 0) is zero and labels.gender_of(source, 1) is one


def test_argmax_takes_the_first_of_equals():
    decoded = AGE_TRINGN.decode([0, 0.4, 0.4, 0.2, 0, 0, 0, 0, 0])
    assert decoded == labels.DecodedLabel("10-19", 1, 0.4, None)


def test_expectation_over_years():
    p = np.zeros(101)
    p[30], p[40] = 0.25, 0.75
    assert AGE_YEARS.decode(p) == labels.DecodedLabel("37.5", 40, 0.75, 37.5)


def test_a_net_with_other_classes_is_refused():
    with pytest.raises(AgeGenderError, match="name 9 classes, but the net gave 8 values"):
        AGE_TRINGN.decode(np.zeros(8))


def test_unknown_names_are_refused():
    with pytest.raises(AgeGenderError, match="no labels are called 'age-7'; known are age-101, age-101-decades, age-8"):
        labels.labels_named("age-7")
    with pytest.raises(AgeGenderError, match="no gender coding is known for 'mars'"):
        labels.gender_of("mars", 0)
    with pytest.raises(AgeGenderError, match="allowed are 0 and 1"):
        labels.gender_of("utkface", 2)


def test_centres_in_years():
    assert AGE_TRINGN.centres().tolist() == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5, 100.0]


def test_device_wing_needs_numpy_only():
    code = (
        "import sys, agegender.inference.labels\n"
        "heavy = {'torch', 'onnx', 'google.protobuf', 'matplotlib', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_years_told_in_decades_sum_their_probabilities():
    p = np.zeros(101)
    p[[21, 28]], p[33], p[100] = 0.2, 0.3, 0.3  # 33 and 100 are the likeliest years, the twenties the likeliest class
    told = labels.AGE_DECADES.decode(p)
    assert (told.text, told.index) == ("20-29", 2) and told.probability == pytest.approx(0.4)
    assert told.years == pytest.approx(0.2 * 49 + 0.3 * 133)
    classes = labels.in_decades(np.stack([np.eye(101)[age] for age in range(101)]))
    assert classes.argmax(1).tolist() == [min(age // 10, 8) for age in range(101)]
