"""The checkout: its top folder and the files that belong to it."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_IGNORED = {".git", ".venv", "data", "models", "graph", "build", "dist"}


def files(*suffixes):
    """Paths of the tracked and new files (not ignored ones) whose names end in one of `suffixes`."""
    return sorted(path for path in _all() if path.is_file() and path.name.endswith(suffixes or ("",)))


def _all():
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        if result.returncode == 0:
            return [ROOT / name for name in result.stdout.decode().split("\0") if name]
    return [path for path in ROOT.rglob("*") if not _IGNORED & set(path.relative_to(ROOT).parts)]


def load_script(name):
    """Import scripts/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scripts():
    """Every shell script of the checkout."""
    return [path for path in files() if path.suffix == ".sh" or path == ROOT / ".ci" / "run"]
