#!/usr/bin/env bash
# Writes requirements/*.txt, the versions of constraints.txt with the hashes of their files; needs uv and an index.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
    local target=$1
    shift
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate -c constraints.txt \
        --custom-compile-command "scripts/lock.sh" "$@" -o "$target"
}
# torch is installed on its own, from an index of its own (scripts/setup.sh)
echo "torch" | lock requirements/torch.txt -
without_torch=(--no-emit-package torch)
for name in $(sed -n 's/^\(nvidia-[a-z0-9-]*\|cuda-[a-z]*\|triton\)==.*/\1/p' requirements/torch.txt); do
    without_torch+=(--no-emit-package "$name")
done
lock requirements/run.txt "${without_torch[@]}" --extra web pyproject.toml
lock requirements/test.txt "${without_torch[@]}" --extra test --extra serve --extra web --extra int8 pyproject.toml
