"""Makes tests/ importable, so that `from support import ...` works, and limits thread pools."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parent))
