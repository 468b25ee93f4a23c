"""The `agegender` command: one file per subcommand."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.utils.cli import commands

VERBOSITY_FLAGS = True  # every command has -q and -v


def main(argv: Sequence[str] | None = None) -> int:
    """Run `agegender COMMAND [options]` and return its exit status."""
    return commands.main(__name__, "agegender", argv)
