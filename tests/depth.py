"""The depth of searches: `make test` plays every mutant and a share of the histories, `make proof` all of them."""

from __future__ import annotations

import os
from typing import Final

#: True in `make proof`.
PROOF: Final = os.environ.get("SWITCHBOARD_PROOF") == "1"


def at_depth(*, usual: int, proof: int) -> int:
    """Return a search's number of histories, states or seeds: `proof` in `make proof`, else `usual`."""
    return proof if PROOF else usual
