"""Look up known vulnerabilities of the locked dependencies: `python scripts/audit.py [FILE ...]`.

Needs pip-audit (`pip install pip-audit`), which asks PyPI's advisory database about every version in
requirements/*.txt, or in the given files. The exit status is 1 if a vulnerability is known. A file is skipped, with the
reason, if pip-audit is not installed or cannot ask; dependencies that the database does not know are counted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json")
SECONDS = 600


def audit(file: Path, program: str) -> tuple[list[str], str]:
    """Return the known vulnerabilities of a lock file, a line each, and a line that says what was looked up.

    Raises
    ------
    LookupError
        If nothing could be looked up; the text gives the reason.
    """
    try:
        run = subprocess.run([program, "-r", file, *OPTIONS], capture_output=True, text=True, timeout=SECONDS)
        found = json.loads(run.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise LookupError(f"no answer in {SECONDS} s") from None
    except (ValueError, KeyError, TypeError):  # no report: the last line of the log gives the reason
        raise LookupError((run.stderr.strip().splitlines() or [f"{program} ended with {run.returncode}"])[-1]) from None
    unknown = [entry for entry in found if "skip_reason" in entry]
    if len(unknown) == len(found):
        reason = unknown[0]["skip_reason"] if unknown else "the file names no dependency"
        raise LookupError(f"none of {len(found)} dependencies is known there: {reason}")
    text = f"{len(found) - len(unknown)} dependencies looked up, {len(unknown)} unknown"
    lines = [
        f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version'}"
        for entry in found
        for flaw in entry.get("vulns", ())
    ]
    return lines, text


def main(names: Sequence[str]) -> int:
    """Print a line per file and per vulnerability; return the exit status."""
    program, status = shutil.which("pip-audit"), 0
    for file in map(Path, names or sorted(map(str, (ROOT / "requirements").glob("*.txt")))):
        try:
            if program is None:
                raise LookupError("pip-audit is not installed (pip install pip-audit)")
            vulnerabilities, text = audit(file, program)
        except LookupError as reason:
            print(f"{file.name}: skipped: {reason.args[0]}")
            continue
        print(f"{file.name}: {text}, {len(vulnerabilities)} vulnerabilities")
        print("".join(f"  {line}\n" for line in vulnerabilities), end="")
        status = status or int(bool(vulnerabilities))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
