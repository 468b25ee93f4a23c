"""What the outputs of the nets mean: genders, age classes, and how probabilities become an answer.

Ships to the board: numpy only, Python 3.7.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agegender.errors import AgeGenderError

if TYPE_CHECKING:  # numpy takes longer to import than `--help` may take
    import numpy as np


class Gender(enum.IntEnum):
    """Gender inside this package, coded as UTKFace and Adience do; IMDB-WIKI codes the other way round."""

    MALE = 0
    FEMALE = 1


@dataclass(frozen=True)
class DecodedLabel:
    """An answer: its text, the winning class, that class's probability and, for years, the expected value."""

    text: str
    index: int
    probability: float
    years: float | None = None


@dataclass(frozen=True)
class Labels:
    """The classes of one output: names in index order and, of age classes, the years they hold (inclusive).

    `decoder` is "argmax" (the likeliest class), "expectation" (sum of p_i * i over single years) or "decades" (single years
    again, told as the likeliest of AGE_TRINGN's nine classes, each with its years' probabilities summed).
    """

    name: str
    names: tuple[str, ...]
    bounds: tuple[tuple[int, int], ...] = ()
    decoder: str = "argmax"

    def __len__(self) -> int:
        return len(self.names)

    def index_of_age(self, age: int) -> int | None:
        """Class of an age in years; None in a gap between classes (Adience has several)."""
        for index, (low, high) in enumerate(self.bounds):
            if low <= age <= high:
                return index
        return None

    def indices_of(self, names: Sequence[str]) -> list[int]:
        """Where each of `names` stands among the classes: an output in this order, taken there, is in the order of `names`."""
        return [self.names.index(name) for name in names]

    def centres(self) -> np.ndarray:
        """Middle of every class in years (float64)."""
        import numpy as np

        return np.array([(low + high) / 2 for low, high in self.bounds])

    def decode(self, probabilities: Sequence[float] | np.ndarray) -> DecodedLabel:
        """The answer told by a vector of len(self) probabilities."""
        import numpy as np

        p = np.asarray(probabilities, dtype=np.float64).reshape(-1)
        if p.size != len(self):
            raise AgeGenderError(
                "labels '%s' name %d classes, but the net gave %d values; take those the net was trained with"
                % (self.name, len(self), p.size)
            )
        if self.decoder == "decades":
            classes = in_decades(p)
            index = argmax(classes)
            return DecodedLabel(AGE_TRINGN.names[index], index, float(classes[index]), expectation(p))
        index = argmax(p)
        if self.decoder == "expectation":
            years = expectation(p)
            return DecodedLabel(f"{years:.1f}", index, float(p[index]), years)
        return DecodedLabel(self.names[index], index, float(p[index]))


def argmax(probabilities: Sequence[float] | np.ndarray) -> int:
    """Index of the largest value, the first one on a tie as numpy and Caffe have it."""
    import numpy as np

    return int(np.argmax(np.asarray(probabilities)))


def expectation(probabilities: Sequence[float] | np.ndarray) -> float:
    """sum(p_i * i): the age of a net with one output a year 0..100 (Rothe et al., DEX)."""
    import numpy as np

    p = np.asarray(probabilities, dtype=np.float64)
    return float(np.dot(p, np.arange(p.size)))


# The nine classes of AgeGenderPrediction; index = min(age // 10, 8).
AGE_TRINGN = Labels(
    "age-9",
    ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80-120"),
    tuple((low, low + 9) for low in range(0, 80, 10)) + ((80, 120),),
)


def in_decades(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """(..., 101) probabilities of single years -> (..., 9) of AGE_TRINGN's classes."""
    import numpy as np

    p = np.asarray(probabilities, dtype=np.float64)
    return np.add.reduceat(p, [low for low, _ in AGE_TRINGN.bounds], axis=-1)


# The eight of Adience as its fold files spell them; ages between the classes belong to none.
_ADIENCE = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
AGE_ADIENCE = Labels("age-8", tuple("(%d, %d)" % pair for pair in _ADIENCE), _ADIENCE)

# One class a year, as DEX and its kin have it.
AGE_YEARS = Labels(
    "age-101",
    tuple(str(year) for year in range(101)),
    tuple((year, year) for year in range(101)),
    decoder="expectation",
)

# The same, told in AGE_TRINGN's classes: what the nets trained here on years answer.
AGE_DECADES = Labels("age-101-decades", AGE_YEARS.names, AGE_YEARS.bounds, decoder="decades")

MALE_FIRST = Labels("gender-mf", ("Male", "Female"))
FEMALE_FIRST = Labels("gender-fm", ("Female", "Male"))

ALL: dict[str, Labels] = {
    labels.name: labels for labels in (AGE_TRINGN, AGE_ADIENCE, AGE_YEARS, AGE_DECADES, MALE_FIRST, FEMALE_FIRST)
}

# What an index of gender means at its source. They disagree, so it is asked here and nowhere else.
GENDER_OF_SOURCE: dict[str, Labels] = {
    "utkface": MALE_FIRST,
    "adience": MALE_FIRST,
    "imdb-wiki": FEMALE_FIRST,
    "tringn": MALE_FIRST,
    "levi": MALE_FIRST,
    "rude-carnie": MALE_FIRST,
    "zealerww": MALE_FIRST,
    "yu4u-imdb": FEMALE_FIRST,
    "onnx-googlenet": MALE_FIRST,
    "onnx-vgg16": FEMALE_FIRST,
}


def gender_of(source: str, index: int) -> Gender:
    """The gender which `source` (a key of GENDER_OF_SOURCE) means by `index`."""
    if source not in GENDER_OF_SOURCE:
        raise AgeGenderError(
            "no gender coding is known for '{}'; known are {}".format(source, ", ".join(sorted(GENDER_OF_SOURCE)))
        )
    names = GENDER_OF_SOURCE[source].names
    if not 0 <= index < len(names):
        raise AgeGenderError(f"gender index {index!r} of '{source}'; allowed are 0 and 1")
    return Gender[names[index].upper()]


def labels_named(name: str) -> Labels:
    """The Labels called `name` (as manifests store them)."""
    if name not in ALL:
        raise AgeGenderError("no labels are called '{}'; known are {}".format(name, ", ".join(sorted(ALL))))
    return ALL[name]
