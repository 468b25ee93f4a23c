"""`python -m caffe COMMAND` runs `caffe COMMAND`."""

import sys

from caffe.tools import main

if __name__ == "__main__":  # worker processes import this file too
    sys.exit(main())
