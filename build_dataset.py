#!/usr/bin/env python3
"""Writes the lists of training and test images from the faces in data/: ./build_dataset.py [--compat] ..."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = os.path.join(HERE, ".venv", "bin", "python")

try:
    import cv2  # noqa: F401

    import agegender  # noqa: F401
except ImportError as missing:
    if os.path.exists(ENVIRONMENT) and sys.prefix != os.path.join(HERE, ".venv"):
        os.execv(ENVIRONMENT, [ENVIRONMENT, os.path.abspath(__file__), *sys.argv[1:]])
    sys.exit(f"build_dataset.py: {missing}; run ./run.sh (the whole pipeline) or scripts/setup.sh (the set-up)")

if __name__ == "__main__":
    from caffe.utils.cli import commands

    os.chdir(HERE)
    sys.exit(commands.run_command("agegender.cli", "build_dataset", "build_dataset.py", sys.argv[1:]))
