"""`python -m agegender VERB` is `agegender VERB`."""

import sys

from agegender.cli import main

if __name__ == "__main__":  # child processes import this file too
    sys.exit(main())
