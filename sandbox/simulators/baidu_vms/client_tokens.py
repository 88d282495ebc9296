"""Remembers client tokens (the document's 幂等性): one token has one result, for 24 hours after its last request."""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.decisions import Answer
from sandbox.simulators.baidu_vms.requests import HttpRequest, RefusedError

LIFETIME_S: Final = 24 * 60 * 60
MAX_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResult:
    """The first request with a token, byte for byte, and its result."""

    method: str
    path: str
    query: str
    body: bytes
    answer: Answer
    received_at_s: float


class ClientTokens:
    """The tokens of one account."""

    def __init__(self) -> None:
        self._results: dict[str, TokenResult] = {}

    def receive(self, token: str, request: HttpRequest, now: float) -> Answer | None:
        """Return the result of the first request with `token`, or None if this is the first in 24 hours.

        In both cases the token is valid for 24 hours more.

        Raises:
            RefusedError: when the two requests differ in any byte.
        """
        first = self._results.get(token)
        if first is None or first.received_at_s + LIFETIME_S <= now:
            self._results.pop(token, None)
            return None
        self._results[token] = replace(first, received_at_s=now)
        original = (first.method, first.path, first.query, first.body)
        if original != (request.method, request.path, request.query, request.body):
            raise RefusedError(errors.TOKEN_MISMATCH, "the token came with another request before")
        return first.answer

    def remember(self, token: str, request: HttpRequest, answer: Answer, now: float) -> None:
        """Remember the result of the first request with `token`."""
        self._results[token] = TokenResult(
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.body,
            answer=answer,
            received_at_s=now,
        )


def find_token(query: str) -> str | None:
    """Return the clientToken of a query, or None if there is none or it is empty."""
    tokens = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "clientToken"]
    return tokens[-1] if tokens and tokens[-1] else None


def check_token(token: str) -> None:
    """Check that `token` is ASCII and has at most 64 characters.

    Raises:
        RefusedError: when it has not.
    """
    if not token.isascii() or len(token) > MAX_CHARACTERS:
        raise RefusedError(errors.WRONG_PARAMETERS, f"the token is not up to {MAX_CHARACTERS} ASCII characters")
