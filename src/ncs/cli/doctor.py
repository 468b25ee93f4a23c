"""Diagnose why a Neural Compute Stick does not work on this machine and suggest fixes.

The exit status is 0 when no fault was found, else 1. The command changes nothing unless --install-udev is given (as
root).
"""

from __future__ import annotations

import argparse

from ncs.doctor import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return command.run(args)
