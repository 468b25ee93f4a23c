# Sourced by the scripts of the checkout, from its top directory: sets PYTHON to the environment's Python.
# shellcheck shell=bash

# Identifies what is installed: the files that decide it, the Python, and the path of the checkout.
environment_hash() { { cat pyproject.toml setup.py constraints.txt requirements/*.txt scripts/setup.sh src/caffe/kernels/*.[ch]; .venv/bin/python -V; pwd; } 2>&1 | cksum; }

# environment_complete STAMP ... : one of these stamps of scripts/setup.sh exists and is current
environment_complete() {
    local hash stamp
    [ -x .venv/bin/python ] || return 1
    hash=$(environment_hash)
    for stamp; do
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$hash" ]; then return 0; fi
    done
    return 1
}

# shellcheck disable=SC2034  # for the script that sources this file
PYTHON=.venv/bin/python
if [ "${0##*/}" != setup.sh ] && ! environment_complete .venv/complete .venv/complete-with-tests; then
    echo "${0##*/}: no complete environment: run ./run.sh (the whole pipeline) or scripts/setup.sh (only the set-up)" >&2
    exit 1
fi
