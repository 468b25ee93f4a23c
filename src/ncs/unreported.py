"""Keeps OpenVINO's converter and NNCF from reporting their use to their makers over the network."""

from __future__ import annotations

import contextlib
import os

_MARKS = {"CI": "true", "NNCF_CI": "1"}  # both stay silent where they find these


@contextlib.contextmanager
def unreported():
    """Import and call them within this: they report by default, without asking, except from continuous integration."""
    before = {name: os.environ.get(name) for name in _MARKS}
    os.environ.update(_MARKS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
