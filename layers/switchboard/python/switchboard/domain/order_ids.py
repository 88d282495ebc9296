"""Holds the form of an order's id."""

from __future__ import annotations

import re
from typing import Final

ORDER_ID: Final = re.compile(r"[A-Za-z0-9]{1,50}")
"""The form of an order's id, which MediaSMS takes as `smsid`. It has no hyphens, unlike a UUID in its usual form."""


def is_order_id(text: str) -> bool:
    """Return whether `text` can be an order's id."""
    return ORDER_ID.fullmatch(text) is not None
