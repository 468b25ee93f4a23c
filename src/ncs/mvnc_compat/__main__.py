"""`python -m ncs.mvnc_compat script.py arguments`: run an NCSDK script on the runners of `ncs.runtime`."""

from __future__ import annotations

import os
import runpy
import sys

from ncs.mvnc_compat import install


def main() -> None:
    """Run the script given as the first argument, with the remaining arguments."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    install()
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
