"""The depth of searches: `make test` plays every mutant and a share of the histories, `make proof` all of them."""

from __future__ import annotations

import os
from typing import Final, TypeVar

T = TypeVar("T")

#: True in `make proof`.
PROOF: Final = os.environ.get("SWITCHBOARD_PROOF") == "1"


def at_depth(*, usual: T, proof: T) -> T:
    """Return a search's bound, its seeds or its number of histories: `proof` in `make proof`, else `usual`."""
    return proof if PROOF else usual
