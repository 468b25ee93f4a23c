#!/usr/bin/env bash
# Creates .venv in the checkout and installs the files of requirements/, by hash; does nothing if that is done.
#   scripts/setup.sh               what the program needs
#   scripts/setup.sh --with-tests  what the tests need as well
#   scripts/setup.sh --with-browser  that, and Chromium for the workbench's tests, where apt can install it
# $PYTHON names the Python (3.10 or newer) to use. pip's own settings and variables apply: PIP_EXTRA_INDEX_URL,
# PIP_FIND_LINKS, PIP_PROXY ... The next run resumes an interrupted one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
REQUESTED_PYTHON=${PYTHON:-}
. scripts/env.sh

say() { echo "setup: $*" >&2; }
fail() { for line in "$@"; do say "$line"; done; exit 1; }
free_space() { df -Ph . | awk 'NR == 2 { print $4 " are free here" }'; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

find_python() {
    local name
    if [ -n "$REQUESTED_PYTHON" ]; then
        new_enough "$REQUESTED_PYTHON" || fail "PYTHON=$REQUESTED_PYTHON: expected Python 3.10 or newer"
        echo "$REQUESTED_PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if new_enough "$name"; then echo "$name"; return; fi
    done
    fail "expected Python 3.10 or newer, found $(python3 --version 2>&1 || true)" \
         "install one, or name one: PYTHON=/path/to/python3.12 $0"
}

make_environment() {
    local python version
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        fail "$python lacks the module venv; Debian and Ubuntu package it separately. Run" \
             "    sudo apt-get install $version-venv" "and then this script again."
    fi
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || fail "creating .venv failed (see above); $(free_space)"
}

# pip's output goes to a log; on failure its last lines are shown with the usual fix
pip_install() {
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-input "$@" >.venv/pip.log 2>&1
}

explain_pip() {
    grep -v -e '^WARNING: Location' .venv/pip.log | tail -n 12 | sed 's/^/    /' >&2 || true
    if grep -q -i 'no space left' .venv/pip.log; then
        say "the disk is full: about 3 GB are needed, 8 GB with a CUDA build of torch ($(free_space))"
    elif grep -q -i -e 'connection' -e 'name resolution' -e 'timed out' -e 'SSLError' .venv/pip.log; then
        say "pip reached no package index: check the network, a proxy or mirror (pip config list)"
    fi
    fail "pip failed on $1; its output is in .venv/pip.log. Run this again to resume."
}

# torch's default build for x86-64 Linux includes several GB of CUDA; its +cpu build does not. The configured indexes
# are tried first, then PyTorch's CPU index (or TORCH_INDEX_URL; none if that is empty), and then the default build.
TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}

# installs requirements/torch-cpu.txt, or the build without a hash for a Python that the file does not name
install_cpu_torch() {
    if .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
        pip_install --no-deps --require-hashes -r requirements/torch-cpu.txt "$@"
    else
        pip_install --no-deps "$pin+cpu" "$@"
    fi
}

install_torch() {
    local pin
    pin=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)
    if .venv/bin/python -m pip freeze 2>/dev/null | grep -q -e "^$pin\$" -e "^$pin+"; then return; fi
    if [ "$(uname -sm)" = "Linux x86_64" ] && ! nvidia-smi >/dev/null 2>&1; then
        say "installing $pin, CPU build"
        if install_cpu_torch; then return; fi
        grep -q -e "No matching distribution found for $pin+cpu" -e "Cannot install $pin+cpu" .venv/pip.log ||
            explain_pip "$pin+cpu"
        if [ -n "$TORCH_INDEX_URL" ]; then
            say "the configured indexes have no CPU build; trying $TORCH_INDEX_URL"
            if install_cpu_torch --timeout 10 --retries 0 --extra-index-url "$TORCH_INDEX_URL"; then return; fi
            if grep -q 'DO NOT MATCH THE HASHES' .venv/pip.log; then say "its file has another hash than expected"; fi
        fi
        say "no CPU build of $pin can be reached: installing the default build, with several GB of CUDA ($(free_space))"
    fi
    say "installing $pin"
    pip_install --require-hashes -r requirements/torch.txt || explain_pip "$pin"
}

install_all() {
    .venv/bin/python scripts/drop_broken_installs.py
    install_torch
    say "installing $what (minutes, the first time)"
    pip_install --require-hashes -r "$what" || explain_pip "$what"
    # not in a build environment of pip's, which would fetch the newest setuptools
    pip_install --no-deps --no-build-isolation -e . || explain_pip "the package"
    .venv/bin/python -c 'import numpy, torch, cv2, onnx, openvino' || fail "the environment does not work (see above)"
    .venv/bin/python -m caffe.kernels.build >/dev/null 2>.venv/kernels.log || say "$(tail -n 1 .venv/kernels.log)"
}

# never fails: without a browser its tests are skipped, with the reason
install_browser() {
    if ! .venv/bin/python -c 'import playwright' 2>/dev/null; then
        pip_install --timeout 20 --retries 1 -c constraints.txt playwright || say "playwright cannot be installed: no tests in a browser"
    fi
    if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then return 0; fi
    say "installing Chromium"
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
        timeout 60 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y -qq --no-install-recommends chromium; } \
        </dev/null >.venv/apt.log 2>&1 || say "Chromium cannot be installed here (.venv/apt.log): no tests in a browser"
}

what=requirements/run.txt
stamps=(.venv/complete .venv/complete-with-tests)
browser=
if [ "${1:-}" = --with-browser ]; then browser=1; set -- --with-tests; fi
if [ "${1:-}" = --with-tests ]; then
    what=requirements/test.txt
    stamps=(.venv/complete-with-tests)
    shift
fi
[ $# -eq 0 ] || fail "unknown argument: $1 (known: --with-tests, --with-browser)"
if environment_complete "${stamps[@]}"; then
    [ -z "$browser" ] || install_browser
    exit 0
fi

# a second set-up waits for the first
if command -v flock >/dev/null; then exec 9<. && flock 9; fi
if environment_complete "${stamps[@]}"; then exit 0; fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! new_enough .venv/bin/python; then make_environment; fi
install_all
environment_hash >"${stamps[0]}.new"
mv "${stamps[0]}.new" "${stamps[0]}"
[ -z "$browser" ] || install_browser
say "done: $(.venv/bin/python --version) in .venv"
say "to use the commands in this shell: . .venv/bin/activate"
