"""Freed memory goes back to the system although some memory above it stays in use."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from caffe.utils import free_memory
def megabytes():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096 >> 20
blocks = [bytes(4000) for _ in range(50000)]
last = blocks[-1]
del blocks
before = megabytes()
free_memory.release()
print(before - megabytes())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_returned():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 100, run
