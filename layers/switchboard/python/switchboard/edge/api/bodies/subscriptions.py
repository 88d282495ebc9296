"""Reads the bodies of the requests to the subscription routes (contract, "Subscriptions")."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.changes import ChangeKind
from switchboard.domain.subscription.addresses import MAX_URL_LENGTH
from switchboard.domain.timestamps import parse_timestamp
from switchboard.edge.http import InboundRequest, parse_body_as
from switchboard.usecases.subscription.manage import SubscriptionSettings

_Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]
_Events = Annotated[list[Annotated[ChangeKind, Field(strict=False)]], Field(min_length=1, max_length=len(ChangeKind))]
_States = Annotated[list[str], Field(min_length=1, max_length=30)]
_Description = Annotated[str, StringConstraints(max_length=200)]


class SubscriptionBody(BaseModel):
    """The body of `POST /v1/subscriptions`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: _Url
    events: _Events
    states: _States | None = None
    thin: bool = False
    description: _Description = ""

    def settings(self) -> SubscriptionSettings:
        """Return the settings of the new subscription."""
        return SubscriptionSettings(
            url=self.url,
            events=frozenset(self.events),
            states=None if self.states is None else frozenset(self.states),
            thin=self.thin,
            description=self.description,
        )


class SubscriptionChangeBody(BaseModel):
    """The body of `PATCH /v1/subscriptions/{subscription_id}`. An absent member stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: _Url | None = None
    events: _Events | None = None
    states: _States | None = None
    thin: bool | None = None
    description: _Description | None = None
    state: Literal["active"] | None = None


class RecoveryBody(BaseModel):
    """The body of `POST /v1/subscriptions/{subscription_id}/recover`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    since: Annotated[str, StringConstraints(max_length=40)]


def parse_body(request: InboundRequest) -> SubscriptionSettings:
    """Read the body of `POST /v1/subscriptions`. Raises like `parse_body_as`."""
    return parse_body_as(SubscriptionBody, request).settings()


def parse_change_body(request: InboundRequest) -> dict[str, Any]:
    """Read what a PATCH changes. `states` may be null, which stands for every state. Raises like `parse_body_as`."""
    body = parse_body_as(SubscriptionChangeBody, request)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    values = {name: value for name, value in changes.items() if value is not None or name == "states"}
    for name in ("events", "states"):
        if values.get(name) is not None:
            values[name] = frozenset(values[name])
    return values


def parse_recovery_body(request: InboundRequest) -> datetime:
    """Read since when changes are to be posted again. Raises like `parse_body_as`."""
    return parse_timestamp(parse_body_as(RecoveryBody, request).since, field="since")
