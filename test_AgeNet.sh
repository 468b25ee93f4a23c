#!/usr/bin/env bash
# Evaluates the latest snapshot of AgeNet on its test LMDB: accuracy and confusion matrix.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender test AgeNet "$@"
