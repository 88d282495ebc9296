"""Name the mobile carriers that a caller may choose, in our own spelling.

A provider's digits for them stay with the provider.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Carrier(StrEnum):
    """The carrier that delivers an SMS to the phone. `OVERSEAS` stands for every carrier outside Japan."""

    DOCOMO = "docomo"
    SOFTBANK = "softbank"
    AU = "au"
    YMOBILE = "ymobile"
    OVERSEAS = "overseas"


DOMESTIC_CARRIERS: Final = (Carrier.DOCOMO, Carrier.SOFTBANK, Carrier.AU, Carrier.YMOBILE)
