#!/usr/bin/env python3
"""Diagnoses why a stick does not work on this device: `python3 doctor.py` (a copy of this file is in every bundle).

The same as `ncs doctor`. Valid Python 3.7; the exit status is 0 when no fault was found.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main() -> int:
    """Run the command `ncs doctor` and return the exit status."""
    from caffe.utils.cli.commands import run_command

    return run_command("ncs.doctor", "command", "doctor.py", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
