"""NCSDK's tools under their own names, for scripts and Makefiles of 2018: mvNCCompile, mvNCCheck and mvNCProfile.

Each is the command of `ncs` with the same options. Reference: https://movidius.github.io/ncsdk/tools/
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from caffe.utils.cli import commands

VERBOSITY_FLAGS = True

# Options of the NCSDK that have no effect here -> number of values. -metric and -es are those of NCSDK 1's mvNCCheck.
_WITHOUT_EFFECT = {"--new-parser": 0, "--accuracy_adjust": 1, "-metric": 1, "-es": 1}


def compile_main(argv: Sequence[str] | None = None) -> int:
    """Run `mvNCCompile NETWORK [options] [-o graph]` and return the exit status."""
    return _run(__name__, "mvnc_compile", "mvNCCompile", argv)


def check_main(argv: Sequence[str] | None = None) -> int:
    """Run `mvNCCheck NETWORK [options]` and return the exit status."""
    return _run("ncs.cli", "check", "mvNCCheck", argv)


def profile_main(argv: Sequence[str] | None = None) -> int:
    """Run `mvNCProfile NETWORK [options]` and return the exit status."""
    return _run("ncs.cli", "profile", "mvNCProfile", argv)


def _run(package, command, program, argv):
    arguments, without_effect = split_arguments(sys.argv[1:] if argv is None else argv)
    if without_effect:
        print(f"{program}: note: no effect here: {' '.join(without_effect)}", file=sys.stderr)
    return commands.run_as(package, command, program, arguments)


def split_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the arguments into those that `ncs` reads, and the options of the NCSDK that have no effect here."""
    kept: list[str] = []
    without_effect: list[str] = []
    rest = iter(argv)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if name not in _WITHOUT_EFFECT:
            kept.append(argument)
            continue
        without_effect.append(argument)
        if _WITHOUT_EFFECT[name] and not equals:
            without_effect += [value for value in [next(rest, None)] if value is not None]
    return kept, without_effect
