#!/bin/sh
# Writes .secrets.baseline anew: the strings in tracked files that look like a secret and that a person has checked.
# The scan looks for named secrets. It skips random-looking text, because hashes and sample data are full of it.
set -eu
cd "$(dirname "$0")/.."
git ls-files -z ':!.secrets.baseline' | xargs -0 .venv/dev/bin/detect-secrets scan \
    --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString \
    --exclude-files 'requirements/.*|.*requirements\.txt' \
    --exclude-secrets '^(a1b2c3d4e5|an-api-key-that-opens-nothing-real|none|test|testing)$' > .secrets.baseline
