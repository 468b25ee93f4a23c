"""A face image and its labels, as the reader of every data set returns it."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.inference.labels import AGE_TRINGN, Gender

RACES = ("white", "black", "asian", "indian", "others")  # UTKFace's indices 0..4


@dataclass(frozen=True, order=True, slots=True)
class Sample:
    """Path, age in years, gender, and race (an index into RACES); None where unknown."""

    path: str
    age: int | None = None
    gender: Gender | None = None
    race: int | None = None

    @property
    def age_class(self) -> int | None:
        """Index into the nine classes 0-9 to 80-120."""
        return None if self.age is None else AGE_TRINGN.index_of_age(self.age)
