"""One face picture and what is known of it; every data set's reader gives these."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.inference.labels import AGE_TRINGN, Gender

RACES = ("white", "black", "asian", "indian", "others")  # UTKFace's numbers 0..4


@dataclass(frozen=True, order=True)
class Sample:
    """`path` as it is opened, age in years, gender, race (index into RACES); None where untold."""

    path: str
    age: int | None = None
    gender: Gender | None = None
    race: int | None = None

    @property
    def age_class(self) -> int | None:
        """Index into the nine classes 0-9 ... 80-120."""
        return None if self.age is None else AGE_TRINGN.index_of_age(self.age)
