"""scripts/audit.py: known vulnerabilities fail, a service that cannot be asked is a skip with its reason."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "audit.py"
SOUND = {"name": "good", "version": "1", "vulns": []}
FLAWED = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "local", "skip_reason": "Dependency not found on PyPI"}


def audit(folder, report, error="", files=("a.txt",), status=0):
    """Run the script with a pip-audit that prints `report`; return its exit status and its output."""
    programs = folder / "bin"
    programs.mkdir()
    if report is not None:
        (programs / "report").write_text(report)
        (programs / "pip-audit").write_text(
            f'#!/bin/sh\n/bin/cat "${{0%/*}}/report"\necho "{error}" >&2\nexit {status}\n'
        )
        (programs / "pip-audit").chmod(0o755)
    for name in files:
        (folder / name).write_text("good==1\n")
    command = [sys.executable, SCRIPT, *(folder / name for name in files)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": str(programs)})
    assert not run.stderr
    return run.returncode, run.stdout


def dependencies(*entries):
    return json.dumps({"dependencies": entries, "fixes": []})


def test_no_vulnerability(tmp_path):
    expected = "a.txt: 1 dependencies looked up, 1 unknown, 0 vulnerabilities\n"
    assert audit(tmp_path, dependencies(SOUND, UNKNOWN)) == (0, expected)


def test_vulnerabilities_of_each_file_are_listed_and_fail(tmp_path):
    status, output = audit(tmp_path, dependencies(SOUND, FLAWED), files=("a.txt", "b.txt"), status=1)
    assert status == 1 and output.count("  bad 2.0: PYSEC-1, fixed in 2.1\n") == 2


@pytest.mark.parametrize(
    "report, error, reason",
    [
        (None, "", "pip-audit is not installed"),
        ("", "Temporary failure in name resolution", "Temporary failure in name resolution"),
        ("[]", "", "pip-audit ended with 0"),
        (dependencies(UNKNOWN), "", "none of 1 dependencies is known there: Dependency not found on PyPI"),
        (dependencies(), "", "the file names no dependency"),
    ],
)
def test_what_cannot_be_asked_is_skipped_with_its_reason(tmp_path, report, error, reason):
    status, output = audit(tmp_path, report, error)
    assert status == 0 and output.startswith("a.txt: skipped: ") and reason in output
