"""Disables the telemetry of OpenVINO and NNCF."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator  # noqa: UP035 - the device side supports Python 3.7

_VARIABLES = {"CI": "true", "NNCF_CI": "1"}  # both send nothing if these are set


@contextlib.contextmanager
def telemetry_disabled() -> Iterator[None]:
    """Disable telemetry during imports and conversions; OpenVINO and NNCF send it by default, except on CI."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def import_openvino() -> Any:
    """Import the module `openvino` without telemetry, which the import alone would send. Raises ImportError."""
    with telemetry_disabled():
        import openvino
    return openvino
