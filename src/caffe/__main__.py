"""`python -m caffe VERB` is `caffe VERB`."""

import sys

from caffe.tools import main

sys.exit(main())
