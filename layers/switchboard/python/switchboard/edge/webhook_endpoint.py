"""Receives the callbacks of every provider: authenticates, parses and records them, and quarantines some of them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, quote_from_bytes

from switchboard.domain.errors import (
    ConfigurationError,
    StoreRefusedError,
    WebhookForbiddenError,
    WebhookUnreadableError,
)
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import logger, metrics
from switchboard.edge.raw_callbacks import to_raw_callback
from switchboard.ports.callbacks import CallbackArchive
from switchboard.ports.clock import Clock

Event = TypeVar("Event")

# Far more than a provider ever sends, and little enough to read at once.
BODY_LIMIT_BYTES: Final = 65_536

_QUARANTINED: Final = "quarantined"
_REFUSED: Final = "refused"
_ASCII: Final = bytes(range(128))


class TokensSecret(Protocol):
    """The secret that holds the webhooks' live tokens under `tokens`."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The secret's members."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """The part of the archive that keeps one webhook's raw callbacks for an operator to read.

    Unreadable callbacks always go there. With `every_callback` all others do too, before they are recorded. A callback
    whose outcome is in `outcomes` goes there after it is recorded, and so does one that the state table refuses for
    good.
    """

    archive: CallbackArchive
    clock: Clock
    route: str
    every_callback: bool = False
    outcomes: frozenset[str] = frozenset()

    def keep(self, request: InboundRequest, *, reason: str) -> None:
        """Store the raw callback.

        Raises:
            StoreUnavailableError: the archive gave no answer.
        """
        self.archive.quarantine(to_raw_callback(request, route=self.route), reason=reason, at=self.clock.now())


@dataclass(frozen=True, slots=True)
class Received(Generic[Event]):
    """The answer to one callback, and the event in it. `event` is None if the callback is unreadable."""

    reply: Reply
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint(Generic[Event]):
    """One webhook of one provider.

    `record` stores an event and returns the outcome, which `outcome_metrics` maps to what is counted. The log line of a
    callback is `subject` with its outcome and the `log_fields` of its event. `reply` answers every callback that is
    stored somewhere.
    """

    subject: str
    secret: Callable[[], TokensSecret]
    parse: Callable[[Mapping[str, str]], Event]
    record: Callable[[Event], str]
    log_fields: Callable[[Event], Mapping[str, object]]
    outcome_metrics: Mapping[str, Metric]
    reply: Reply
    quarantine: Quarantine | None = None

    def receive(self, request: InboundRequest) -> Received[Event]:
        """Authenticate, parse and record one callback. Return once it is durable.

        Raises:
            WebhookForbiddenError: the token is not a live one.
            WebhookUnreadableError: the callback is unreadable and this webhook has no quarantine.
            StoreUnavailableError: the callback could be stored nowhere, or its raw form could not be stored.
        """
        authenticate(request, live_tokens=lambda: self.secret().values.get("tokens"))
        try:
            event = self.parse(read_params(request))
        except WebhookUnreadableError as error:
            if self.quarantine is None:
                raise
            self.quarantine.keep(request, reason=str(error))
            self._report(_QUARANTINED, {})
            return Received(reply=self.reply)
        outcome = self._record(request, event)
        self._report(outcome, self.log_fields(event))
        return Received(reply=self.reply, event=event)

    def _record(self, request: InboundRequest, event: Event) -> str:
        """Store the event and, if this webhook's quarantine takes it, the raw callback."""
        if self.quarantine is None:
            return self.record(event)
        try:
            if self.quarantine.every_callback:
                self.quarantine.keep(request, reason="every callback is kept")
        finally:
            # The state table may take the event although the archive does not answer.
            outcome = self._record_unless_refused(event)
        if outcome == _REFUSED or outcome in self.quarantine.outcomes:
            self.quarantine.keep(request, reason=str(outcome))
        return outcome

    def _record_unless_refused(self, event: Event) -> str:
        try:
            return self.record(event)
        except StoreRefusedError as error:
            # A provider that got an error would repeat this callback for ever.
            logger.error(self.subject, outcome=_REFUSED, reason=str(error))
            return _REFUSED

    def _report(self, outcome: str, fields: Mapping[str, object]) -> None:
        logger.info(self.subject, outcome=outcome, extra=dict(fields))
        metric = self.outcome_metrics[outcome]
        metrics.add_metric(name=metric, unit=metric.unit, value=1)


def authenticate(request: InboundRequest, *, live_tokens: Callable[[], object]) -> None:
    """Compare the path's token with every live token, always with all of them.

    Raises:
        WebhookForbiddenError: no live token is equal.
        ConfigurationError: `live_tokens` returns no list of texts.
    """
    token = request.path_params.get("token", "").encode("utf-8", "surrogatepass")
    tokens = live_tokens()
    if not isinstance(tokens, list) or not tokens or not all(isinstance(live, str) and live for live in tokens):
        raise ConfigurationError("the webhook tokens' secret holds no list of tokens")
    matches = [hmac.compare_digest(token, live.encode()) for live in tokens]
    if not any(matches):
        raise WebhookForbiddenError("The token in the path is not a live one")


def read_params(request: InboundRequest) -> Mapping[str, str]:
    """Read query, form and JSON alike, with names in lower case.

    Raises:
        WebhookUnreadableError: the callback is too large, is in no known form, or gives one name two different values.
            The message is a code in snake_case.
    """
    if len(request.body) > BODY_LIMIT_BYTES:
        raise WebhookUnreadableError("too_large")
    pairs = [(name, value) for name, values in request.query.items() for value in values]
    text = _decode(request.body).strip()
    if text:
        pairs += _read_json(text) if text.startswith("{") else _read_form(request.body)
    params: dict[str, str] = {}
    for name, value in pairs:
        key = name.strip().lower()
        if params.setdefault(key, value) != value:
            raise WebhookUnreadableError("ambiguous")
    return params


def _decode(body: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise WebhookUnreadableError("undecodable")


def _read_form(body: bytes) -> list[tuple[str, str]]:
    """Read a form whose percent-encoding hides the code page: as UTF-8, otherwise as Windows' Shift_JIS."""
    escaped = quote_from_bytes(body, safe=_ASCII)
    for encoding in ("utf-8", "cp932"):
        try:
            return parse_qsl(escaped, keep_blank_values=True, encoding=encoding, errors="strict", max_num_fields=100)
        except ValueError:
            continue
    raise WebhookUnreadableError("undecodable")


def _read_json(text: str) -> list[tuple[str, str]]:
    try:
        # Numbers stay as written: an id like 1563433858.60 is no number, even if the provider leaves out its quotes.
        members = json.loads(text, object_pairs_hook=list, parse_float=str)
    except (ValueError, RecursionError):
        raise WebhookUnreadableError("not_json") from None
    pairs = []
    for name, value in members:
        if isinstance(value, bool | list):
            raise WebhookUnreadableError("not_flat")
        pairs.append((name, "" if value is None else str(value)))
    return pairs
