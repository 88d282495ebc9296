#!/bin/sh
# Writes .secrets.baseline anew: what looks like a secret in the tracked files and has been looked at by a person.
# Random-looking text is not searched for (hashes and sample data are full of it), named secrets are.
set -eu
cd "$(dirname "$0")/.."
git ls-files -z ':!.secrets.baseline' | xargs -0 .venv/dev/bin/detect-secrets scan \
    --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString \
    --exclude-files 'requirements/.*|.*requirements\.txt' \
    --exclude-secrets '^(a1b2c3d4e5|an-api-key-that-opens-nothing-real|none|test|testing)$' > .secrets.baseline
