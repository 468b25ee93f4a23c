#!/usr/bin/env bash
# Build the documentation site into site/. The first run installs MkDocs into .venv-docs.
#   scripts/build_docs.sh            build; open site/index.html
#   scripts/build_docs.sh --serve    build, serve on http://127.0.0.1:8000 and rebuild when a page changes
# The packages themselves are not installed: --help and the docstrings are read from src/.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv-docs/bin/python
stamp=.venv-docs/complete

read_extra='
import pathlib
try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print(*project["optional-dependencies"]["docs"], sep="\n")
'
hash=$(cat pyproject.toml constraints.txt scripts/build_docs.sh | cksum)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$hash" ]; then
    "${PYTHON:-python3}" -m venv --clear .venv-docs
    "$python" -c "$read_extra" >.venv-docs/requirements.txt
    "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -r .venv-docs/requirements.txt
    echo "$hash" >"$stamp"
fi
export NO_MKDOCS_2_WARNING=1
if [ "${1:-}" = --serve ]; then exec "$python" -m mkdocs serve -s; fi
"$python" -m mkdocs build -s --clean --quiet
echo "The documentation is in site/: open site/index.html"
