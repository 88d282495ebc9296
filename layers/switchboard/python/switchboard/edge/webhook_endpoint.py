"""Receives the callbacks of every provider: authenticates, parses and records them, and quarantines some of them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, Generic, Protocol, TypeVar

from switchboard.domain.errors import (
    ConfigurationError,
    StoreRefusedError,
    WebhookForbiddenError,
    WebhookUnreadableError,
)
from switchboard.edge.callback_params import read_params
from switchboard.edge.http import InboundRequest, Reply
from switchboard.edge.metrics import Metric
from switchboard.edge.observability import count, logger
from switchboard.ports.callbacks import CallbackArchive, CallbackParams
from switchboard.ports.clock import Clock

Event = TypeVar("Event")

_QUARANTINED: Final = "quarantined"
_REFUSED: Final = "refused"
_MAPPED_PREFIX: Final = 96
"""The length of the prefix of IPv6 addresses that stand for IPv4 addresses (`::ffff:0:0/96`)."""


class TokensValue(Protocol):
    """One version of the secret that holds a webhook's live tokens under `tokens`."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The secret's members."""
        ...


class TokensSecret(Protocol):
    """The secret with one webhook's live tokens."""

    def __call__(self) -> TokensValue:
        """Return a value that is at most as old as a revoked token may live.

        Raises:
            StoreUnavailableError: the store gave no answer, and no recent value is cached.
        """
        ...

    def refresh(self) -> TokensValue:
        """Return a value that is young enough for a refusal.

        Raises:
            StoreUnavailableError: the store gave no answer.
        """
        ...


class SourceRanges:
    """The address ranges from which one provider's callbacks may come. Without a range every address is allowed."""

    def __init__(self, ranges: Sequence[str]) -> None:
        """Read ranges such as `192.0.2.0/24`, `192.0.2.7` or `2001:db8::/32`.

        Raises:
            ConfigurationError: one of them is no address range, or has bits beyond its prefix.
        """
        try:
            self._networks = tuple(_unmap_network(ip_network(text)) for text in ranges)
        except ValueError:
            raise ConfigurationError(f"A webhook's source ranges are unreadable: {', '.join(ranges)}") from None

    def include(self, address: str | None) -> bool:
        """Return whether a callback may come from `address`. A missing or unreadable address is in no range."""
        if not self._networks:
            return True
        try:
            source = _unmap(ip_address(address or ""))
        except ValueError:
            return False
        return any(source in network for network in self._networks)


class WebhookAuthentication:
    """The check of one webhook's requests. It reads neither query nor body."""

    def __init__(self, *, secret: TokensSecret, source_ranges: Sequence[str]) -> None:
        """Take the webhook's live tokens and the ranges of its callbacks' addresses, as SourceRanges reads them.

        Raises:
            ConfigurationError: a range is unreadable.
        """
        self._secret = secret
        self._sources = SourceRanges(source_ranges)

    def check(self, request: InboundRequest) -> None:
        """Compare the address with the ranges, then the path's token with every live token, always with all of them.

        The secret is read again before a refusal, so that a new token counts at once.

        Raises:
            WebhookForbiddenError: the address is in no range, or no live token is equal.
            StoreUnavailableError: the tokens cannot be read, so a refusal might be wrong.
            ConfigurationError: the secret has no list of texts under `tokens`.
        """
        if not self._sources.include(request.source_ip):
            raise WebhookForbiddenError(reason="source_address")
        token = request.path_params.get("token", "").encode("utf-8", "surrogatepass")
        for read in (self._secret, self._secret.refresh):
            live_tokens = _read_tokens(read())
            matches = [hmac.compare_digest(token, live) for live in live_tokens]
            if any(matches):
                return
        if not live_tokens:
            raise ConfigurationError("the webhook's secret holds no list of tokens")
        raise WebhookForbiddenError(reason="token")


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
        # Most containers never quarantine a callback.
        from switchboard.edge.raw_callbacks import to_raw_callback  # noqa: PLC0415

        self.archive.quarantine(to_raw_callback(request, route=self.route), reason=reason, at=self.clock.now())


@dataclass(frozen=True, slots=True)
class Received(Generic[Event]):
    """The answer to one callback, and the event in it. `event` is None if the callback is unreadable."""

    reply: Reply
    event: Event | None = None


def _no_fields(_event: object) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint(Generic[Event]):
    """One webhook of one provider.

    `record` stores an event and returns the outcome, which `outcome_metrics` maps to what is counted. The log line of a
    callback is `subject` with its outcome. It has the `log_fields` of the event, such as an id, only if the outcome is
    one of `own_outcomes`, which say that the event belongs to an item of ours: any other id is a sender's text. `reply`
    answers every callback that is stored somewhere. `refuse` makes another answer for an unreadable one, from the
    reason.
    """

    subject: str
    authentication: WebhookAuthentication
    parse: Callable[[CallbackParams], Event]
    record: Callable[[Event], str]
    outcome_metrics: Mapping[str, Metric]
    reply: Reply
    quarantine: Quarantine
    log_fields: Callable[[Event], Mapping[str, object]] = _no_fields
    own_outcomes: frozenset[str] = frozenset()
    refuse: Callable[[str], Reply] | None = None

    def receive(self, request: InboundRequest) -> Received[Event]:
        """Authenticate, parse and record one callback. Return once it is durable.

        Raises:
            WebhookForbiddenError: the token is not a live one, or the address is not the provider's.
            StoreUnavailableError: the callback could be stored nowhere, or its raw form could not be stored, or the
                live tokens could not be read.
        """
        try:
            self.authentication.check(request)
        except WebhookForbiddenError:
            count(Metric.CALLBACKS_REFUSED)
            raise
        try:
            event = self.parse(read_params(request))
        except WebhookUnreadableError as error:
            reason = str(error)
            self.quarantine.keep(request, reason=reason)
            self._report(_QUARANTINED, {"reason": reason})
            return Received(reply=self.reply if self.refuse is None else self.refuse(reason))
        outcome = self._record(request, event)
        self._report(outcome, self.log_fields(event) if outcome in self.own_outcomes else {})
        return Received(reply=self.reply, event=event)

    def _record(self, request: InboundRequest, event: Event) -> str:
        """Store the event and, if this webhook's quarantine takes it, the raw callback."""
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

    def _report(self, outcome: str, fields: Mapping[str, object] = {}) -> None:
        logger.info(self.subject, outcome=outcome, extra=dict(fields))
        count(self.outcome_metrics[outcome])


def _read_tokens(value: TokensValue) -> list[bytes]:
    """Return the live tokens, or none if one of them is unusable."""
    tokens = value.values.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(live, str) and live for live in tokens):
        return []
    return [live.encode("utf-8", "surrogatepass") for live in tokens]


def _unmap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address for which an IPv6 address stands, or the address itself."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _unmap_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 range for which an IPv6 range stands, or the range itself."""
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped and network.prefixlen >= _MAPPED_PREFIX:
        return IPv4Network((first.ipv4_mapped, network.prefixlen - _MAPPED_PREFIX))
    return network
