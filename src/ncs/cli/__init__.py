"""The command-line program `ncs`: one module per command."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.utils.cli import commands

VERBOSITY_FLAGS = True  # every command has -q and -v


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ncs COMMAND [options]` and return the exit status."""
    return commands.main(__name__, "ncs", argv)
