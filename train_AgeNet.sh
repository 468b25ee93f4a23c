#!/usr/bin/env bash
# Trains AgeNet with prototxt/AgeNet_solver.prototxt; snapshots go to models/AgeNet.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender train AgeNet "$@"
