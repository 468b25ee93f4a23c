"""The checkout as the tests of the house see it: its top folder and the files that belong to it."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NOT_OURS = {".git", ".venv", "data", "models", "graph", "build", "dist"}


def files(*suffixes):
    """Paths of the checkout's files (tracked and new, not ignored) whose name ends in one of `suffixes`."""
    return sorted(path for path in _all() if path.is_file() and path.name.endswith(suffixes or ("",)))


def _all():
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if listed.returncode == 0:
            return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts)]


def scripts():
    """Every shell script of the checkout."""
    return [path for path in files() if path.suffix == ".sh" or path == ROOT / ".ci" / "run"]
