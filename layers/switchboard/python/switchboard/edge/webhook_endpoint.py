"""Receives the callbacks of every provider: authenticates, parses and records them, and quarantines some of them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from switchboard.domain.callback_params import CallbackParams
from switchboard.domain.errors import ConfigurationError, WebhookForbiddenError, WebhookUnreadableError
from switchboard.edge.callback_params import read_params, unpack
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import logger, metrics
from switchboard.edge.raw_callbacks import to_raw_callback
from switchboard.ports.callbacks import CallbackArchive
from switchboard.ports.clock import Clock

Event = TypeVar("Event")

_QUARANTINED: Final = "quarantined"


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
    whose outcome is in `outcomes` goes there after it is recorded.
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
    stored somewhere. `refuse` makes another answer for an unreadable one, from the reason.
    """

    subject: str
    secret: Callable[[], TokensSecret]
    parse: Callable[[CallbackParams], Event]
    record: Callable[[Event], str]
    log_fields: Callable[[Event], Mapping[str, object]]
    outcome_metrics: Mapping[str, Metric]
    reply: Reply
    quarantine: Quarantine
    refuse: Callable[[str], Reply] | None = None

    def receive(self, request: InboundRequest) -> Received[Event]:
        """Authenticate, parse and record one callback. Return once it is durable.

        Raises:
            WebhookForbiddenError: the token is not a live one.
            StoreUnavailableError: the callback could be stored nowhere, or its raw form could not be stored.
        """
        authenticate(request, live_tokens=lambda: self.secret().values.get("tokens"))
        request = unpack(request)
        try:
            event = self.parse(read_params(request))
        except WebhookUnreadableError as error:
            reason = str(error)
            self.quarantine.keep(request, reason=reason)
            self._report(_QUARANTINED, {"reason": reason})
            return Received(reply=self.reply if self.refuse is None else self.refuse(reason))
        outcome = self._record(request, event)
        self._report(outcome, self.log_fields(event))
        return Received(reply=self.reply, event=event)

    def _record(self, request: InboundRequest, event: Event) -> str:
        """Store the event and, if this webhook's quarantine takes it, the raw callback."""
        try:
            if self.quarantine.every_callback:
                self.quarantine.keep(request, reason="every callback is kept")
        finally:
            # The state table may take the event although the archive does not answer.
            outcome = self.record(event)
        if outcome in self.quarantine.outcomes:
            self.quarantine.keep(request, reason=str(outcome))
        return outcome

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
