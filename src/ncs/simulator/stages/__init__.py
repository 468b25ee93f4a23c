"""Implementations of the stage kinds of a blob: one module per kind or family; all modules are registered."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from typing import Callable  # noqa: UP035 - Python 3.7 on the device

registry: dict[str, Callable] = {}
_lock = threading.Lock()


def stage(*kinds: str) -> Callable:
    """Return a decorator that registers a function of a `ncs.simulator.call.Call` for these stage kinds."""

    def register(function: Callable) -> Callable:
        for kind in kinds:
            if kind in registry:
                raise ValueError(f"two functions for stage kind {kind}")
            registry[kind] = function
        return function

    return register


def load() -> dict[str, Callable]:
    """Import every module of this directory once and return the registry."""
    with _lock:  # simulators of several threads
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module("." + module.name, __name__)
    return registry
