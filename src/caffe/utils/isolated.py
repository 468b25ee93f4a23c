"""Build commands that run a module in another Python process, without the current directory or PYTHONPATH on its path.

`python -m` puts the current directory first, so a json.py there would be imported instead of Python's.
"""

from __future__ import annotations

_RUN = "import runpy, sys; root, module = sys.argv[1:3]; sys.path.%s; runpy.run_module(module, run_name='__main__')"


def command(python: str, module: str, root: str, *flags: str, first: bool = False) -> list[str]:
    """Return the command that runs `module` of the folder `root` in `python` with `flags`.

    `root` is last on the module search path, so that it cannot shadow modules of Python; with `first` it is first.
    """
    statement = "insert(0, root)" if first else "append(root)"
    return [python, "-I", *flags, "-c", _RUN % statement, root, module]
