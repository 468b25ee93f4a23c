#!/usr/bin/env bash
# Sets up everything on a fresh machine, then runs the whole pipeline: faces, training, evaluation, compilation, predictions.
#   ./run.sh [--archive FILE] [--iterations N] [--force] ...    ./run.sh --help lists all options
set -eu
cd "$(dirname "$0")"
scripts/setup.sh
. scripts/env.sh
exec "$PYTHON" -m agegender run "$@"
