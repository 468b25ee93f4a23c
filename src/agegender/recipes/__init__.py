"""Training recipes for the zoo's nets: one file per family; the RECIPES of every file here form the registry."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from agegender.errors import AgeGenderError
from caffe.errors import did_you_mean

if TYPE_CHECKING:
    from agegender.recipes.recipe import Recipe


@functools.cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name, sorted."""
    registry = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in getattr(importlib.import_module(f"{__name__}.{module.name}"), "RECIPES", ()):
            if recipe.name in registry:
                raise ValueError(f"two recipes are named {recipe.name}")
            registry[recipe.name] = recipe
    return dict(sorted(registry.items()))


def resolve(name: str) -> Recipe:
    """The Recipe of that name; raises AgeGenderError if there is none."""
    known = recipes()
    if name not in known:
        raise AgeGenderError(f"unknown recipe '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
    return known[name]
