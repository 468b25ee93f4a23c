"""Runs a command and prints its time and memory as JSON: _rusage.py COMMAND...

A small process of its own, because Linux counts the memory of the parent process as the program's.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    result = {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "status": status,
        "memory": usage.ru_maxrss / scale,
    }
    print(json.dumps(result))
