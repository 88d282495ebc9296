"""clientToken (the document's 幂等性): one result for one token, for 24 hours from the last time it was received."""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.decisions import Answer
from sandbox.simulators.baidu_vms.requests import RefusedError, WireRequest

LIFETIME_S: Final = 24 * 60 * 60
LONGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
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
        self._remembered: dict[str, Remembered] = {}

    def receive(self, token: str, request: WireRequest, now: float) -> Answer | None:
        """Return the result of the first request with `token`, None when this is the first in 24 hours.

        Either way the token is good for 24 hours more. Raises RefusedError when the two requests differ in any byte.
        """
        first = self._remembered.get(token)
        if first is None or first.received_at_s + LIFETIME_S <= now:
            self._remembered.pop(token, None)
            return None
        self._remembered[token] = replace(first, received_at_s=now)
        same = (first.method, first.path, first.query, first.body)
        if same != (request.method, request.path, request.query, request.body):
            raise RefusedError(errors.TOKEN_MISMATCH, "the token came with another request before")
        return first.answer

    def remember(self, token: str, request: WireRequest, answer: Answer, now: float) -> None:
        """Keep the result of the first request with `token`."""
        self._remembered[token] = Remembered(
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.body,
            answer=answer,
            received_at_s=now,
        )


def token_in(query: str) -> str | None:
    """Return the clientToken of a query; None when there is none or it is empty."""
    tokens = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "clientToken"]
    return tokens[-1] if tokens and tokens[-1] else None


def check_token(token: str) -> None:
    """Raise RefusedError unless `token` is ASCII and has at most 64 characters."""
    if not token.isascii() or len(token) > LONGEST:
        raise RefusedError(errors.WRONG_PARAMETERS, f"the token is not up to {LONGEST} ASCII characters")
