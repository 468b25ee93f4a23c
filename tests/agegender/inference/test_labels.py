"""Labels against the class names and codings of the sources, written out again here."""

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


def test_names_are_spelled_as_in_the_sources():
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
def test_gender_coding_depends_on_the_source(source, zero, one):
    assert labels.gender_of(source, 0) is zero and labels.gender_of(source, 1) is one


def test_argmax_takes_the_first_on_a_tie():
    decoded = AGE_TRINGN.decode([0, 0.4, 0.4, 0.2, 0, 0, 0, 0, 0])
    assert decoded == labels.DecodedLabel("10-19", 1, 0.4, None)


def test_expectation_over_years():
    p = np.zeros(101)
    p[30], p[40] = 0.25, 0.75
    assert AGE_YEARS.decode(p) == labels.DecodedLabel("37.5", 40, 0.75, 37.5)


def test_wrong_number_of_probabilities_is_refused():
    with pytest.raises(AgeGenderError, match="expected 9 values from the net, received 8"):
        AGE_TRINGN.decode(np.zeros(8))


def test_unknown_names_are_refused():
    with pytest.raises(AgeGenderError, match="unknown labels 'age-7'; expected one of age-101, age-101-decades, age-8"):
        labels.labels_named("age-7")
    with pytest.raises(AgeGenderError, match="unknown source of gender labels 'mars'"):
        labels.gender_of("mars", 0)
    with pytest.raises(AgeGenderError, match="expected gender index 0 or 1, received 2"):
        labels.gender_of("utkface", 2)


def test_centres_in_years():
    assert AGE_TRINGN.centres().tolist() == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5, 100.0]


def test_labels_import_numpy_only():
    code = (
        "import sys, agegender.inference.labels\n"
        "heavy = {'torch', 'onnx', 'google.protobuf', 'matplotlib', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_decades_sum_the_probabilities_of_years():
    p = np.zeros(101)
    p[[21, 28]], p[33], p[100] = (
        0.2,
        0.3,
        0.3,
    )  # 33 and 100 are the most probable years, the twenties the most probable class
    decoded = labels.AGE_DECADES.decode(p)
    assert (decoded.text, decoded.index) == ("20-29", 2) and decoded.probability == pytest.approx(0.4)
    assert decoded.years == pytest.approx(0.2 * 49 + 0.3 * 133)
    classes = labels.in_decades(np.stack([np.eye(101)[age] for age in range(101)]))
    assert classes.argmax(1).tolist() == [min(age // 10, 8) for age in range(101)]


def test_an_unknown_decoder_is_refused():
    with pytest.raises(AgeGenderError, match="'age': expected decoder argmax, expectation, decades, received 'mode'"):
        labels.check_decoder("mode", "age")
