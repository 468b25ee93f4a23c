#!/usr/bin/env bash
# Averages the age training LMDB into data/mean/mean.binaryproto and age_gender_mean.npy.
set -eu
cd "$(dirname "$0")"
. scripts/env.sh
exec "$PYTHON" -m agegender create-mean "$@"
