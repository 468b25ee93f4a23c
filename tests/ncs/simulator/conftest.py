"""Make the helper modules of tests/ncs/simulator and tests/caffe/layers importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "caffe" / "layers")]
