#!/usr/bin/env bash
# Downloads the faces, or takes them --from FILE, and unpacks them into data/.    --help lists all options
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender download "$@"
