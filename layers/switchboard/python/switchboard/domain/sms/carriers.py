"""The mobile carriers that a caller may name, in our own spelling: a provider's digits stay with the provider."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Carrier(StrEnum):
    """Who delivers an SMS to the phone. `OVERSEAS` stands for every carrier outside Japan."""

    DOCOMO = "docomo"
    SOFTBANK = "softbank"
    AU = "au"
    YMOBILE = "ymobile"
    OVERSEAS = "overseas"


DOMESTIC_CARRIERS: Final = (Carrier.DOCOMO, Carrier.SOFTBANK, Carrier.AU, Carrier.YMOBILE)
