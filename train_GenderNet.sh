#!/usr/bin/env bash
# Trains GenderNet with prototxt/GenderNet_solver.prototxt; snapshots go to models/GenderNet.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender train GenderNet "$@"
