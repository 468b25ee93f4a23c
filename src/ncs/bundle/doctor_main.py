#!/usr/bin/env python3
"""Finds out why a stick does not answer on this board: `python3 doctor.py` (a copy of this file is in every bundle).

`ncs doctor` where caffe2ncs is installed. Valid Python 3.7; the exit status is 0 when nothing is wrong.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "lib")):
    sys.path.insert(0, os.path.join(HERE, "lib"))


def main():
    """Run the verb `doctor` of `ncs`; returns the exit status."""
    from caffe.utils.commands import run_command

    return run_command("ncs.cli", "doctor", "doctor.py", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
