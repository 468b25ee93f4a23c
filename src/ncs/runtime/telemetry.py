"""Keeps OpenVINO and NNCF from reporting their use to their makers over the network."""

from __future__ import annotations

import contextlib
import os
from typing import Any

_MARKS = {"CI": "true", "NNCF_CI": "1"}  # both stay silent where they find these


@contextlib.contextmanager
def telemetry_disabled():
    """Import them and convert within this: they report by default, without asking, except from continuous integration."""
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


def import_openvino() -> Any:
    """The module `openvino`, whose import alone is reported. Raises ImportError."""
    with telemetry_disabled():
        import openvino
    return openvino
