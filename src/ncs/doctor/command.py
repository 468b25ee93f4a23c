"""Diagnose why a Neural Compute Stick does not work on this machine and suggest fixes.

The exit status is 0 when no fault was found, else 1. The command changes nothing unless --install-udev is given (as
root).
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--udev", action="store_true", help="print udev rules that give users access to the stick")
    parser.add_argument("--install-udev", action="store_true", help="install these rules (needs root)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from ncs.doctor import checks

    if args.udev:
        print(checks.RULES, end="")
        return 0
    if args.install_udev:
        return install(checks.RULES, checks.RULES_FILE)
    findings = checks.examine()
    if args.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        print(checks.text(findings))
    return 1 if any(finding.level == checks.FAULT for finding in findings) else 0


def install(rules: str, path: str) -> int:
    """Write the rules and make udev reload them."""
    import shutil
    import subprocess

    from caffe.utils.atomic_io import write_bytes
    from ncs.errors import NcsError

    try:
        write_bytes(path, rules)
    except OSError as error:
        from ncs.doctor.checks import PROGRAM

        raise NcsError(f"{path}: {error.strerror}; run it with sudo, or: {PROGRAM} --udev | sudo tee {path}") from error
    print("wrote " + path)
    if shutil.which("udevadm") is None:
        print("udevadm is not installed: restart udev or the machine")
        return 0
    for command in (["udevadm", "control", "--reload"], ["udevadm", "trigger", "--subsystem-match=usb"]):
        subprocess.run(command, check=False)
    print("now unplug the stick and plug it in again")
    return 0
