"""Nets registered by name: installed packages provide them as entry points of the group `ncs.models`.

An entry point is a module with `names()` and `jobs(name, folder, weights, mean)` -> [(ncs.compiler.compile.Model,
stem)]. So ncs can compile nets of packages that depend on it without importing them.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from caffe.errors import did_you_mean
from ncs.errors import NcsError

if TYPE_CHECKING:
    from ncs.compiler.compile import Model

GROUP = "ncs.models"


def names() -> list[str]:
    """Return the names of all registered nets."""
    providers = [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    return [name for provider in providers for name in provider.names()]


def jobs(name: str, folder: str, weights: str | None = None, mean: str | None = None) -> list[tuple[Model, str]]:
    """Return [(Model, stem)] of the nets called `name`, for ncs.compiler.compile.compile_models.

    `folder` is the output folder; `weights` and `mean` are files that replace the net's own. Raises NcsError for an
    unknown name.
    """
    known = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        provider = point.load()
        if name in provider.names():
            return provider.jobs(name, folder, weights, mean)
        known += provider.names()
    raise NcsError(f"no net is called '{name}'{did_you_mean(name, known)} (known: {', '.join(known) or 'none'})")
