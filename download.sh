#!/usr/bin/env bash
# Fetches the faces, or takes them --from FILE, and unpacks them into data/.    --help tells all
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender download "$@"
