#!/bin/sh
# Writes requirements/*.lock and the layer's requirements.txt from pyproject.toml. Every version is pinned and every file
# is hashed, for CPython 3.11 to 3.13. The files name no package index.
set -eu
cd "$(dirname "$0")/.."
layer=layers/switchboard/python/requirements.txt
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$(tools/find_python.sh)" -m venv "$tool"
"$tool/bin/pip" install --quiet uv
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-annotate "$@"
}
compile --group dev pyproject.toml -o requirements/dev.lock
for group in sandbox emulator sam bench docs checkov; do
    compile --group "$group" -o "requirements/$group.lock"
done
# The layer gets the versions that the tests run with.
compile -c requirements/dev.lock pyproject.toml -o "$layer"
