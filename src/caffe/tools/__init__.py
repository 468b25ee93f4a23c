"""The program `caffe`: one module per command; Caffe's tools also run under their own names."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.utils.cli import commands

WORD_BREAK = "_"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `caffe train|test|time|... [flags]`; return the exit status."""
    return commands.main(__name__, "caffe", argv)


def named(argv: Sequence[str] | None = None) -> int:
    """Run the tool whose name the program has (`convert_imageset ROOT/ LIST DB`)."""
    return commands.named(__name__, argv)


def normalise(argv: Sequence[str]) -> list[str]:
    """Convert gflags spellings (`-flag v`, `-flag=v`, `--noflag`) to those of argparse."""
    from caffe.tools.flags import gflags

    return gflags.normalise(argv)
