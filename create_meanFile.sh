#!/usr/bin/env bash
# The name that the original gave to create_mean.sh.
set -eu
exec "$(dirname "$0")/create_mean.sh" "$@"
