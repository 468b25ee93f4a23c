"""What a fuzzing target is."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """`seeds()` returns valid files as bytes; `readers` receive the path of a damaged one, which they may rename."""

    seeds: object
    readers: tuple
    text: bool = False
    weight: int = 1  # number of cases relative to other targets
    slow: bool = False  # a case needs a process of its own
