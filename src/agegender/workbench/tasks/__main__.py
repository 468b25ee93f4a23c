"""`python -m agegender.workbench.tasks NAME [options]`: a task with options is a step of a job; one without reads JSON.

A task module defines `answer(values) -> dict` or `main(argv) -> None`.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys

from caffe.errors import CaffeError
from caffe.utils.cli.safe_text import printable

REQUESTS = ("example", "check_net", "layers", "explain", "describe", "precision", "predict", "write_run", "schedule")
STEPS = ("index", "split", "evaluate", "archive")
MAX_FILE = 4 << 30  # bytes that a request may write


def main() -> int:
    """Run one task and return the exit status: 1 for an error of the user's."""
    name, *argv = sys.argv[1:] or [""]
    if name not in REQUESTS + STEPS:
        print(f"error: expected a task, one of {', '.join(REQUESTS + STEPS)}, received '{name}'", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"agegender.workbench.tasks.{name}")
        if name in STEPS:
            module.main(argv)
        else:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
            values = module.answer(json.load(sys.stdin))
            print(json.dumps(values))
    except CaffeError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: not enough memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
