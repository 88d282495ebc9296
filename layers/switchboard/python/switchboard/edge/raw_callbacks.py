"""Prepares an authentic callback for the archive: without the webhook's token and without an authcode."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote_to_bytes

from switchboard.edge.http import InboundRequest
from switchboard.ports.callbacks import RawCallback

_AUTHCODE = "authcode"


def to_raw_callback(request: InboundRequest, *, route: str) -> RawCallback:
    """Copy the callback without its path, which holds the token, and without the value of an authcode."""
    query = {
        name: ("***",) * len(values) if _AUTHCODE in name.casefold() else values
        for name, values in request.query.items()
    }
    return RawCallback(
        route=route,
        method=request.method,
        query=json.dumps(query, ensure_ascii=True),
        content_type=request.content_type,
        body=_redact_authcode(request.body),
    )


def _redact_authcode(body: bytes) -> bytes:
    """Replace everything from an authcode's name to the end of its parameter or of its JSON object.

    A body that spells the name with escapes is withheld as a whole.
    """
    unescaped = unquote_to_bytes(body).replace(b"\0", b"")
    unescaped = re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda match: bytes.fromhex(match[1].decode()), unescaped)
    if unescaped.lower().count(_AUTHCODE.encode()) > body.lower().count(_AUTHCODE.encode()):
        return b"(withheld: it names an authcode)"
    return re.sub(rb"(?i)(authcode)[^&}]*", rb"\1***", body)
