#!/usr/bin/env bash
# Evaluates the latest snapshot of GenderNet on its test LMDB: accuracy and confusion matrix.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender test GenderNet "$@"
