"""Recipes: ways to train the zoo's nets, one file a family; the files of this folder are the list."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from agegender.errors import AgeGenderError
from caffe.errors import did_you_mean


@functools.cache
def recipes():
    """Name -> Recipe of every file in this folder."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in getattr(importlib.import_module(f"{__name__}.{module.name}"), "RECIPES", ()):
            if recipe.name in found:
                raise ValueError(f"two recipes are called {recipe.name}")
            found[recipe.name] = recipe
    return dict(sorted(found.items()))


def resolve(name):
    """The Recipe called `name`."""
    known = recipes()
    if name not in known:
        raise AgeGenderError(
            "no recipe is called '{}'{} (known: {})".format(name, did_you_mean(name, known), ", ".join(known))
        )
    return known[name]
