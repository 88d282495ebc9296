"""What the system costs, as ratios to doing the same by hand within one run: `make bench`."""

import sys

from benchmarks.lambda_path import LAYER

# The stack that handlers are measured against is put together by the tests' own deployment, which knows the package.
if str(LAYER) not in sys.path:
    sys.path.insert(0, str(LAYER))
