"""Checks Basic authentication, which the document's 接続方法 asks for."""

import hmac
from base64 import b64decode


def is_authorized(authorization: str, *, user: str, password: str) -> bool:
    """Return whether the value of an Authorization header carries these credentials (UTF-8)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        decoded = b64decode(credentials.strip(), validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(decoded, f"{user}:{password}".encode())
