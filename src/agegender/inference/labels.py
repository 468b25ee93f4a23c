"""Labels of the nets: genders, age classes, and how probabilities are decoded.

Runs on the target device (Python 3.7, numpy).
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
    """Gender in this package, coded as in UTKFace and Adience; IMDB-WIKI uses the opposite coding."""

    MALE = 0
    FEMALE = 1


DECODERS = ("argmax", "expectation", "decades")


def check_decoder(decoder: str, name: str) -> None:
    """Raise AgeGenderError if this version does not know the decoder of the output `name`."""
    if decoder not in DECODERS:
        raise AgeGenderError(f"'{name}': expected decoder {', '.join(DECODERS)}, received {decoder!r}")


@dataclass(frozen=True)
class DecodedLabel:
    """Text, class index and probability of a decoded output; for nets that predict years also the expected value."""

    text: str
    index: int
    probability: float
    years: float | None = None


@dataclass(frozen=True)
class Labels:
    """The classes of a net's output.

    Attributes
    ----------
    name : str
        Name in manifests.
    names : tuple of str
        Class names in index order.
    bounds : tuple of (int, int)
        First and last year of age classes.
    decoder : {"argmax", "expectation", "decades"}
        "argmax" is the most probable class. "expectation" is the sum of p_i * i over single years. "decades" sums
        the probabilities of single years over AGE_TRINGN's nine classes and takes the most probable one.
    """

    name: str
    names: tuple[str, ...]
    bounds: tuple[tuple[int, int], ...] = ()
    decoder: str = "argmax"

    def __len__(self) -> int:
        return len(self.names)

    def index_of_age(self, age: int) -> int | None:
        """Class of an age in years; None in a gap between classes, as Adience has."""
        for index, (low, high) in enumerate(self.bounds):
            if low <= age <= high:
                return index
        return None

    def indices_of(self, names: Sequence[str]) -> list[int]:
        """Class indices of `names`; indexing an output with them puts it into the order of `names`."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise AgeGenderError(f"the net has no class {', '.join(missing)}; its classes are {', '.join(self.names)}")
        return [self.names.index(name) for name in names]

    def centres(self) -> np.ndarray:
        """Midpoint of every age class in years, float64."""
        import numpy as np

        if len(self.bounds) != len(self.names):
            raise AgeGenderError(f"the classes {', '.join(self.names)} are no ages; expected names such as 20-29")
        return np.array([(low + high) / 2 for low, high in self.bounds])

    def decode(self, probabilities: Sequence[float] | np.ndarray) -> DecodedLabel:
        """Decode a vector of len(self) probabilities."""
        import numpy as np

        p = np.asarray(probabilities, dtype=np.float64).reshape(-1)
        if p.size != len(self):
            raise AgeGenderError(
                f"labels '{self.name}' expected {len(self)} values from the net, received {p.size}; "
                "use the labels the net was trained with"
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
    """Index of the largest value; the first one on a tie, as in numpy and Caffe."""
    import numpy as np

    return int(np.argmax(np.asarray(probabilities)))


def expectation(probabilities: Sequence[float] | np.ndarray) -> float:
    """sum(p_i * i), the age of a net with one output per year 0..100 (DEX, Rothe et al.)."""
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
    """Sum probabilities of single years (..., 101) over AGE_TRINGN's classes (..., 9)."""
    import numpy as np

    p = np.asarray(probabilities, dtype=np.float64)
    return np.add.reduceat(p, [low for low, _ in AGE_TRINGN.bounds], axis=-1)


# The eight classes of Adience as its fold files spell them; ages between the classes belong to none.
_ADIENCE = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
AGE_ADIENCE = Labels("age-8", tuple(f"({low}, {high})" for low, high in _ADIENCE), _ADIENCE)

# One class per year, as in DEX.
AGE_YEARS = Labels(
    "age-101",
    tuple(str(year) for year in range(101)),
    tuple((year, year) for year in range(101)),
    decoder="expectation",
)

# The same, decoded into AGE_TRINGN's classes, for the nets that this package trains on years.
AGE_DECADES = Labels("age-101-decades", AGE_YEARS.names, AGE_YEARS.bounds, decoder="decades")

# Years 0 to 80, of dlib's age net.
AGE_DECADES_80 = Labels("age-81-decades", AGE_YEARS.names[:81], AGE_YEARS.bounds[:81], decoder="decades")

MALE_FIRST = Labels("gender-mf", ("Male", "Female"))
FEMALE_FIRST = Labels("gender-fm", ("Female", "Male"))

ALL: dict[str, Labels] = {
    labels.name: labels
    for labels in (AGE_TRINGN, AGE_ADIENCE, AGE_YEARS, AGE_DECADES, AGE_DECADES_80, MALE_FIRST, FEMALE_FIRST)
}

# Gender coding of each data set and net. They disagree, so this is the only place that knows it.
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
    "dlib": FEMALE_FIRST,
}


def gender_of(source: str, index: int) -> Gender:
    """Gender of class `index` in the coding of `source`, a key of GENDER_OF_SOURCE."""
    if source not in GENDER_OF_SOURCE:
        raise AgeGenderError(
            f"unknown source of gender labels '{source}'; expected one of {', '.join(sorted(GENDER_OF_SOURCE))}"
        )
    names = GENDER_OF_SOURCE[source].names
    if not 0 <= index < len(names):
        raise AgeGenderError(f"'{source}': expected gender index 0 or 1, received {index!r}")
    return Gender[names[index].upper()]


def labels_named(name: str) -> Labels:
    """The Labels of a name stored in a manifest."""
    if name not in ALL:
        raise AgeGenderError(f"unknown labels '{name}'; expected one of {', '.join(sorted(ALL))}")
    return ALL[name]
