"""Commands that run a module of ours in a Python of their own, where the current directory and PYTHONPATH have no say.

`python -m` puts the current directory first: a json.py that lies there would be run in the place of Python's.
"""

from __future__ import annotations

_RUN = "import runpy, sys; root, module = sys.argv[1:3]; sys.path.%s; runpy.run_module(module, run_name='__main__')"


def command(python: str, module: str, root: str, *flags: str, first: bool = False) -> list[str]:
    """Run `module`, which lies below the directory `root`, in `python` with `flags`.

    `root` comes last on the path, so that nothing there hides a module of Python's; `first` puts it before the packages
    of that Python.
    """
    place = "insert(0, root)" if first else "append(root)"
    return [python, "-I", *flags, "-c", _RUN % place, root, module]
