"""`python -m ncs VERB` is `ncs VERB`."""

import sys

from ncs.cli import main

sys.exit(main())
