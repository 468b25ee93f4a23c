"""Archives of faces: addresses, sizes and SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.datasets.sample import RACES

_DRIVE = "https://drive.google.com/uc?export=download&id="


@dataclass(frozen=True)
class Source:
    """An archive: file name, addresses tried in turn, size in bytes, SHA-256, indices of the races it contains."""

    file: str
    urls: tuple[str, ...]
    size: int
    sha256: str
    races: tuple[int, ...]


# AgeGenderPrediction's part of UTKFace (susanqq.github.io/UTKFace), for non-commercial research only; the
# images belong to their owners.
UTKFACE_ASIAN = Source(
    file="UTKFace_AsianOnly.tar.gz",
    urls=(_DRIVE + "1VKeUymGHYh701vDqvOJvYuYIsI9fAE7S",),
    size=14634626,
    sha256="50c6786af61c1d718e94665894a8361ae60aec6c53938a119a1d52046a72a645",
    races=(RACES.index("asian"),),
)
