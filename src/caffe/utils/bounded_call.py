"""Call a function in a separate process with a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from caffe.errors import CaffeError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_RUN = """import sys  # our packages after the standard library, before installed packages
at = next((i for i, place in enumerate(sys.path) if place.endswith("-packages")), len(sys.path))
sys.path.insert(at, sys.argv[1])
from caffe.utils import bounded_call
bounded_call.main()"""


def call(function, arguments, seconds):
    """Return the result of `function` ("module:name") for `arguments` (JSON values): a list of lists of arrays.

    Raises CaffeError if the function does, if it takes longer than `seconds`, or if it ends its process.
    """
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as folder:
        task = json.dumps({"function": function, "arguments": arguments, "folder": folder})
        command = [sys.executable, "-I", "-c", _RUN, ROOT]
        try:
            done = subprocess.run(command, input=task.encode(), capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CaffeError(f"reading took more than {seconds} seconds; the file is damaged") from None
        error = os.path.join(folder, "error")
        if os.path.exists(error):
            with open(error, encoding="utf-8") as stream:
                raise CaffeError(stream.read())
        if done.returncode:
            raise CaffeError(f"reading crashed (exit status {done.returncode}); the file is damaged")
        return _read(folder)


def main():
    """In the child process: run the task of standard input and write the results or the error into its folder."""
    import numpy as np

    task = json.load(sys.stdin)
    module, _, name = task["function"].partition(":")
    function = getattr(__import__(module, fromlist=[name]), name)
    try:
        lists = function(*task["arguments"])
    except CaffeError as error:
        with open(os.path.join(task["folder"], "error"), "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(str(error))
        return
    with open(os.path.join(task["folder"], "counts.json"), "w") as stream:
        json.dump([len(arrays) for arrays in lists], stream)
    for number, array in enumerate(array for arrays in lists for array in arrays):
        np.save(os.path.join(task["folder"], f"{number}.npy"), array, allow_pickle=False)


def _read(folder):
    import numpy as np

    with open(os.path.join(folder, "counts.json")) as stream:
        counts = json.load(stream)
    numbers = iter(range(sum(counts)))
    return [
        [np.load(os.path.join(folder, f"{next(numbers)}.npy"), allow_pickle=False) for _ in range(count)]
        for count in counts
    ]
