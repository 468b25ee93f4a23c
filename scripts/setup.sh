#!/usr/bin/env bash
# Makes .venv in the checkout and installs the versions in constraints.txt; does nothing where that is done.
#   scripts/setup.sh               what the program needs
#   scripts/setup.sh --with-tests  what the tests need as well
# $PYTHON names the Python (3.10 or newer) to make it from. pip's own settings and variables are honoured,
# so PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, PIP_PROXY ... work. An interrupted run is continued by the next.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON_ASKED=${PYTHON:-}
. scripts/env.sh

say() { echo "setup: $*" >&2; }
fail() { for line in "$@"; do say "$line"; done; exit 1; }
free_space() { df -Ph . | awk 'NR == 2 { print $4 " are free here" }'; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

find_python() {
    local name
    if [ -n "$PYTHON_ASKED" ]; then
        new_enough "$PYTHON_ASKED" || fail "PYTHON=$PYTHON_ASKED is no Python of 3.10 or newer"
        echo "$PYTHON_ASKED"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if new_enough "$name"; then echo "$name"; return; fi
    done
    fail "no Python of 3.10 or newer was found (python3 is: $(python3 --version 2>&1 || true))" \
         "install one, or name one: PYTHON=/path/to/python3.12 $0"
}

make_environment() {
    local python version
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        fail "$python cannot make environments: Debian and Ubuntu keep that in a package of its own. Run" \
             "    sudo apt-get install $version-venv" "and then this again."
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || fail "making .venv failed (see above); $(free_space)"
}

# pip's output goes to a log; when it fails, its last lines are shown together with what usually mends it
pip_install() {
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-input \
        -c constraints.txt "$@" >.venv/pip.log 2>&1
}

explain_pip() {
    grep -v -e '^WARNING: Location' .venv/pip.log | tail -n 12 | sed 's/^/    /' >&2 || true
    if grep -q -i 'no space left' .venv/pip.log; then
        say "the disk is full: about 3 GB are needed, 8 GB with a CUDA build of torch ($(free_space))"
    elif grep -q -i -e 'connection' -e 'name resolution' -e 'timed out' -e 'SSLError' .venv/pip.log; then
        say "pip reached no package index: is the network up, does pip need a proxy or a mirror (pip config list)?"
    fi
    fail "pip failed on $1; its whole output is in .venv/pip.log. Running this again goes on where it stopped."
}

# torch's default build for x86-64 Linux brings several GB of CUDA; its +cpu build does not, if pip knows an index with it
install_torch() {
    local pin
    pin=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)
    if .venv/bin/python -m pip freeze 2>/dev/null | grep -q -e "^$pin\$" -e "^$pin+"; then return; fi
    if [ "$(uname -sm)" = "Linux x86_64" ] && ! nvidia-smi >/dev/null 2>&1; then
        say "installing $pin, CPU build"
        if pip_install "$pin+cpu"; then return; fi
        grep -q -e "No matching distribution found for $pin+cpu" -e "Cannot install $pin+cpu" .venv/pip.log ||
            explain_pip "$pin+cpu"
        say "pip's indexes have no CPU build of $pin: the default build comes, with several GB of CUDA ($(free_space))."
        say "To spare that: interrupt, set PIP_EXTRA_INDEX_URL to the CPU index on PyTorch's Get Started page, run again."
    fi
    say "installing $pin"
    pip_install "$pin" || explain_pip "$pin"
}

install_all() {
    .venv/bin/python scripts/drop_broken_installs.py
    # here and not in a build environment of pip's own, which would fetch whatever setuptools is newest
    pip_install setuptools || explain_pip setuptools
    install_torch
    say "installing the rest of constraints.txt (minutes, the first time)"
    pip_install --no-build-isolation -e "$what" || explain_pip "$what"
    .venv/bin/python -c 'import numpy, torch, cv2, onnx, openvino' || fail "the environment does not work (see above)"
}

what=.
stamps=(.venv/complete .venv/complete-with-tests)
if [ "${1:-}" = --with-tests ]; then
    what='.[test]'
    stamps=(.venv/complete-with-tests)
    shift
fi
[ $# -eq 0 ] || fail "unknown argument: $1 (known: --with-tests)"
if environment_complete "${stamps[@]}"; then exit 0; fi

# two set-ups at once would disturb each other, so the second waits for the first
if command -v flock >/dev/null; then exec 9<. && flock 9; fi
if environment_complete "${stamps[@]}"; then exit 0; fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! new_enough .venv/bin/python; then make_environment; fi
install_all
environment_hash >"${stamps[0]}.new"
mv "${stamps[0]}.new" "${stamps[0]}"
say "done: $(.venv/bin/python --version) in .venv"
