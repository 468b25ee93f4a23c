#!/usr/bin/env bash
# Sets up everything on a fresh machine, then goes the whole road: pictures, training, judging, compiling, a prediction.
#   ./run.sh [--archive FILE] [--iterations N] [--force] ...    ./run.sh --help tells all
set -eu
cd "$(dirname "$0")"
scripts/setup.sh
. scripts/env.sh
exec "$PYTHON" -m agegender run "$@"
