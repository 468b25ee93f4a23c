#!/usr/bin/env bash
# Sets up everything on a fresh machine, then runs the tests; arguments go to pytest (./test.sh -k pooling).
# ./test.sh -m fast checks every package in less than a minute.
set -eu
cd "$(dirname "$0")"
scripts/setup.sh --with-tests
. scripts/env.sh
# two workers with one thread each: a worker takes up to 2 GB
export OMP_NUM_THREADS=1 MPLBACKEND=Agg
exec "$PYTHON" -m pytest -n 2 --dist loadfile --max-worker-restart=0 "$@"
