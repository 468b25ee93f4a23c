#!/usr/bin/env bash
# The original's name of create_mean.sh.
set -eu
exec "$(dirname "$0")/create_mean.sh" "$@"
