#!/usr/bin/env bash
# Sets up everything on a fresh machine, then runs the tests; arguments go to pytest (./test.sh -k pooling).
# ./test.sh -m fast checks every package in less than a minute; --with-browser installs Chromium for the workbench's tests.
set -eu
cd "$(dirname "$0")"
case " $* " in
*" --with-browser "*)
    scripts/setup.sh --with-browser
    for argument; do
        shift
        [ "$argument" = --with-browser ] || set -- "$@" "$argument"
    done
    ;;
*) scripts/setup.sh --with-tests ;;
esac
. scripts/env.sh
# two workers with one thread each: a worker takes up to 2 GB
export OMP_NUM_THREADS=1 MPLBACKEND=Agg
exec "$PYTHON" -m pytest -n 2 --dist loadfile --max-worker-restart=0 "$@"
