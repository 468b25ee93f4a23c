"""Makes tests/ncs/simulator and its neighbors importable, so that `import stage_machine` works."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "caffe" / "layers")]
