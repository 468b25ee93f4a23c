"""Call a function in a separate process with a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from caffe.errors import CaffeError

if TYPE_CHECKING:
    import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_RUN = """import sys  # our packages after the standard library, before installed packages
at = next((i for i, path in enumerate(sys.path) if path.endswith("-packages")), len(sys.path))
sys.path.insert(at, sys.argv[1])
from caffe.utils import bounded_call
bounded_call.main()"""


def call(function: str, arguments: list, seconds: float) -> list[list[np.ndarray]]:
    """Call a function in a child process.

    Parameters
    ----------
    function : str
        "module:name"; it returns a list of lists of arrays.
    arguments : list
        JSON values.
    seconds : float
        Time limit.

    Returns
    -------
    list
        The lists of arrays.

    Raises
    ------
    CaffeError
        If the function raises one, exceeds the time limit or crashes its process.
    """
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as folder:
        task = json.dumps({"function": function, "arguments": arguments, "folder": folder})
        command = [sys.executable, "-I", "-c", _RUN, ROOT]
        try:
            process = subprocess.run(command, input=task.encode(), capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CaffeError(f"reading took more than {seconds} seconds; the file is damaged") from None
        error = os.path.join(folder, "error")
        if os.path.exists(error):
            with open(error, encoding="utf-8") as stream:
                raise CaffeError(stream.read())
        if process.returncode:
            raise CaffeError(f"reading crashed (exit status {process.returncode}); the file is damaged")
        return _read(folder)


def main() -> None:
    """Run the task from standard input in the child process; write the results or the error to its folder."""
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


def _read(folder: str) -> list[list[np.ndarray]]:
    import numpy as np

    with open(os.path.join(folder, "counts.json")) as stream:
        counts = json.load(stream)
    numbers = iter(range(sum(counts)))
    return [
        [np.load(os.path.join(folder, f"{next(numbers)}.npy"), allow_pickle=False) for _ in range(count)]
        for count in counts
    ]
