"""Makes tests/ncs importable, so that `import onnx_nets` works."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
