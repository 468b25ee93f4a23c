"""`python -m ncs VERB` is `ncs VERB`."""

import sys

from ncs.cli import main

if __name__ == "__main__":  # child processes import this file too
    sys.exit(main())
