# Sourced by the scripts of the checkout, from its top folder: sets PYTHON to the environment's, and makes nothing itself.
# shellcheck shell=bash

# What the environment stands on: the files that decide what is installed, the Python, and where the checkout lies.
environment_hash() { { cat pyproject.toml constraints.txt scripts/setup.sh; .venv/bin/python -V; pwd; } 2>&1 | cksum; }

# environment_complete STAMP ... : one of these stamps of scripts/setup.sh is there and still true
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
    echo "${0##*/}: there is no complete environment here: run ./run.sh (everything) or scripts/setup.sh (only the set-up)" >&2
    exit 1
fi
