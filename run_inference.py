#!/usr/bin/env python3
"""Predicts age and gender of the faces in images: ./run_inference.py --image_path P [P ...]."""

import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = os.path.join(HERE, ".venv", "bin", "python")

missing = [name for name in ("numpy", "agegender") if importlib.util.find_spec(name) is None]
if missing:
    if os.path.exists(ENVIRONMENT) and sys.prefix != os.path.join(HERE, ".venv"):
        os.execv(ENVIRONMENT, [ENVIRONMENT, os.path.abspath(__file__), *sys.argv[1:]])
    sys.exit(
        "run_inference.py: missing {}; run ./run.sh (the whole pipeline) or scripts/setup.sh first".format(
            ", ".join(missing)
        )
    )

if __name__ == "__main__":
    from caffe.utils.cli import commands

    sys.exit(commands.run_command("agegender.cli", "predict", "run_inference.py", sys.argv[1:]))
