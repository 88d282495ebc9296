"""Reads the bodies of the requests to the call routes (contract, "Voice notices (Baidu VMS)")."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from switchboard.domain.api_keys import ApiKey
from switchboard.domain.chinese_numbers import parse_chinese_number
from switchboard.domain.orders import MAX_REFERENCE_LENGTH
from switchboard.domain.voice_calls import VoiceCallContent
from switchboard.edge.http import InboundRequest, parse_body_as
from switchboard.usecases.voice_call.place import PlaceCallCommand


class PlaceCallBody(BaseModel):
    """The body of `POST /v1/calls`. The provider's package decides what the provider accepts of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    to: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    template_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    variables: Annotated[dict[str, Annotated[str, StringConstraints(max_length=5_000)]], Field(max_length=100)]
    play_times: Annotated[int, Field(ge=1, lt=100)] | None = None
    volume: Annotated[int, Field(ge=-20, lt=21)] | None = None
    tag: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] | None = None
    show_number: Annotated[str, StringConstraints(min_length=1, max_length=30)] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)] | None = None

    def command(self, *, caller: ApiKey, idempotency_key: str | None) -> PlaceCallCommand:
        """Build the command.

        Raises:
            InvalidRequestError: `to` is no number.
        """
        return PlaceCallCommand(
            client=caller.client,
            test=caller.test,
            recipient=parse_chinese_number(self.to).e164,
            content=VoiceCallContent(
                template_id=self.template_id,
                variables=self.variables,
                play_times=self.play_times,
                volume=self.volume,
                tag=self.tag,
                show_number=self.show_number,
            ),
            idempotency_key=idempotency_key,
            reference=self.reference,
        )


def parse_body(request: InboundRequest) -> PlaceCallBody:
    """Read the body of `POST /v1/calls`. Raises like `parse_body_as`."""
    return parse_body_as(PlaceCallBody, request)
