"""What all providers' webhooks share: the secret in the path, and parameters wherever the provider put them."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes

from switchboard.domain.errors import ConfigurationError, WebhookForbiddenError, WebhookUnreadableError
from switchboard.edge.http import InboundRequest
from switchboard.ports.callbacks import RawCallback

# Far more than a provider ever sends, and little enough to read at once.
BODY_LIMIT_BYTES = 65_536

_ASCII = bytes(range(128))
_AUTHCODE = "authcode"


def authenticate(request: InboundRequest, *, live_tokens: Callable[[], object]) -> None:
    """Compares the path's token with every live one, always all of them.

    Raises WebhookForbiddenError, or ConfigurationError where `live_tokens` gives no list of texts.
    """
    given = request.path_params.get("token", "").encode("utf-8", "surrogatepass")
    tokens = live_tokens()
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) and token for token in tokens):
        raise ConfigurationError("the webhook tokens' secret holds no list of tokens")
    matches = [hmac.compare_digest(given, token.encode()) for token in tokens]
    if not any(matches):
        raise WebhookForbiddenError("the token is not a live one")


def read_params(request: InboundRequest) -> Mapping[str, str]:
    """Query, form and JSON alike, names in lower case. Raises WebhookUnreadableError, also where one name has two
    different values: nobody knows which is meant."""
    if len(request.body) > BODY_LIMIT_BYTES:
        raise WebhookUnreadableError("too_large")
    given = [(name, value) for name, values in request.query.items() for value in values]
    text = _decoded(request.body).strip()
    if text:
        given += _json_pairs(text) if text.startswith("{") else _form_pairs(request.body)
    params: dict[str, str] = {}
    for name, value in given:
        key = name.strip().lower()
        if params.setdefault(key, value) != value:
            raise WebhookUnreadableError("ambiguous")
    return params


def raw_callback(request: InboundRequest, *, route: str) -> RawCallback:
    """The callback for the archive: without its path, which holds the token, and without the value of an authcode."""
    query = {
        name: ("***",) * len(values) if _AUTHCODE in name.casefold() else values
        for name, values in request.query.items()
    }
    return RawCallback(
        route=route,
        method=request.method,
        query=json.dumps(query, ensure_ascii=True),
        content_type=request.content_type,
        body=_without_authcode(request.body),
    )


def _without_authcode(body: bytes) -> bytes:
    """From an authcode's name to the end of its parameter, or of its JSON object, nothing is kept; of a body that
    spells the name in some escaped way, nothing at all."""
    spelled = unquote_to_bytes(body).replace(b"\0", b"")
    spelled = re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda match: bytes.fromhex(match[1].decode()), spelled)
    if spelled.lower().count(_AUTHCODE.encode()) > body.lower().count(_AUTHCODE.encode()):
        return b"(withheld: it names an authcode)"
    return re.sub(rb"(?i)(authcode)[^&}]*", rb"\1***", body)


def _decoded(body: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise WebhookUnreadableError("undecodable")


def _form_pairs(body: bytes) -> list[tuple[str, str]]:
    """A form's percent-encoding hides its bytes' code page: UTF-8 first, then Windows' Shift_JIS."""
    escaped = quote_from_bytes(body, safe=_ASCII)
    for encoding in ("utf-8", "cp932"):
        try:
            return parse_qsl(escaped, keep_blank_values=True, encoding=encoding, errors="strict", max_num_fields=100)
        except ValueError:
            continue
    raise WebhookUnreadableError("undecodable")


def _json_pairs(text: str) -> list[tuple[str, str]]:
    try:
        # Numbers as they are written: an id like 1563433858.60 is no number, also where somebody forgot its quotes.
        parsed = json.loads(text, object_pairs_hook=list, parse_float=str)
    except (ValueError, RecursionError):
        raise WebhookUnreadableError("not_json") from None
    pairs = []
    for name, value in parsed:
        if isinstance(value, bool | list):
            raise WebhookUnreadableError("not_flat")
        pairs.append((name, "" if value is None else str(value)))
    return pairs
