"""`python -m agegender VERB` is `agegender VERB`."""

import sys

from agegender.cli import main

sys.exit(main())
