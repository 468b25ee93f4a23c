"""`python -m agegender COMMAND` is `agegender COMMAND`."""

import sys

from agegender.cli import main

if __name__ == "__main__":  # child processes import this file too
    sys.exit(main())
