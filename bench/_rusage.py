"""Runs a command and prints what it took, as JSON: measured.py COMMAND...

A process of its own, and a small one: Linux counts the memory of whoever started a program as the program's own.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    print(json.dumps({
        "wall": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime, "status": status,
        "memory": usage.ru_maxrss / scale,
    }))  # fmt: skip
