"""Run `ncs` as a module: `python -m ncs COMMAND`."""

import sys

from ncs.cli import main

if __name__ == "__main__":  # child processes import this file too
    sys.exit(main())
