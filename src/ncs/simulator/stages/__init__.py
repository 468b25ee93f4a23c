"""The stage kinds of a blob, a file each (or a family of one formula); the directory is the list."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Callable  # noqa: UP035 - a board's Python is 3.7

registry: dict[str, Callable] = {}


def stage(*kinds: str) -> Callable:
    """Register a function as what stages of these kinds do; it takes a `ncs.simulator.call.Call`."""

    def register(function: Callable) -> Callable:
        for kind in kinds:
            if kind in registry:
                raise ValueError(f"two functions for stage kind {kind}")
            registry[kind] = function
        return function

    return register


def load() -> dict[str, Callable]:
    """Import every module of this directory, once; returns the registry."""
    if not registry:
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module("." + module.name, __name__)
    return registry
