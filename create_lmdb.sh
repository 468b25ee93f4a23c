#!/usr/bin/env bash
# Packs the lists of data/DEF into four LMDBs of 227x227 images in data/lmdb.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender create-lmdb "$@"
