"""An implementation of the NCSDK's `mvnc` module on top of `ncs.runtime`, so that old NCSDK scripts still run.

It never replaces the real module by default. Enable it in one of three ways:

* `python -m ncs.mvnc_compat script.py arguments` runs a script with it;
* `ncs.mvnc_compat.install()` before `from mvnc import mvncapi`;
* the folder `ncs.mvnc_compat.PATH` in PYTHONPATH.

It has the functions of API v1 (EnumerateDevices, LoadTensor …) and of v2. A graph buffer is a Myriad blob or an ONNX
model; graphs of Intel's mvNCCompile need Intel's module. The devices are those in NCS_DEVICE (`CPU`, `SIMULATOR`,
`CPU,CPU` for two), else the sticks that are plugged in, else the CPU.
"""

from __future__ import annotations

import os
import sys
import types

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "path")


def install() -> None:
    """Make `from mvnc import mvncapi` import this module in this process."""
    from ncs.mvnc_compat import mvncapi

    package = types.ModuleType("mvnc", "The NCSDK's interface over ncs.runtime.")
    package.mvncapi = mvncapi  # type: ignore[attr-defined]
    sys.modules["mvnc"] = package
    sys.modules["mvnc.mvncapi"] = mvncapi
