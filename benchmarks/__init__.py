"""The costs of the system, as ratios to a minimal implementation within one run: `make bench`."""

import sys

from benchmarks.lambda_path import LAYER

# tests/deployment.py builds the stack of the benchmarks, and imports the package.
if str(LAYER) not in sys.path:
    sys.path.insert(0, str(LAYER))
