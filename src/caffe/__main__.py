"""`python -m caffe VERB` is `caffe VERB`."""

import sys

from caffe.tools import main

if __name__ == "__main__":  # child processes import this file too
    sys.exit(main())
