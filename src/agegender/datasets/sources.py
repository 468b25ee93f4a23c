"""Where archives of faces are had from: one table of address, size and SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.datasets.sample import RACES

_DRIVE = "https://drive.google.com/uc?export=download&id="


@dataclass(frozen=True)
class Source:
    """An archive: file name, addresses tried in turn, exact size in bytes, SHA-256, race indices it holds."""

    file: str
    urls: tuple
    size: int
    sha256: str
    races: tuple


# AgeGenderPrediction's part of UTKFace (susanqq.github.io/UTKFace), for research that is not commercial; the
# pictures belong to their owners.
UTKFACE_ASIAN = Source(
    file="UTKFace_AsianOnly.tar.gz",
    urls=(_DRIVE + "1VKeUymGHYh701vDqvOJvYuYIsI9fAE7S",),
    size=14634626,
    sha256="50c6786af61c1d718e94665894a8361ae60aec6c53938a119a1d52046a72a645",
    races=(RACES.index("asian"),),
)
