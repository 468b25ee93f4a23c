#!/usr/bin/env bash
# Compiles the latest snapshots to graph/{AgeNet,GenderNet}.{onnx,xml,bin,blob}.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender compile "$@"
