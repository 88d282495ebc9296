"""Test that an idempotency key has one effect, however often the request is made, at once or in turn. (I4)"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.errors import IdempotencyKeyReusedError, RequestInProgressError, SmsidTakenError
from switchboard.domain.sms.messages import Message, SmsContent, SmsStatus
from switchboard.ports.orders import MessageStore
from switchboard.storage.sms.messages import DynamoDbMessageStore
from switchboard.usecases.sms.send import SendSms, SendSmsCommand
from switchboard.usecases.submission.submit_once import SubmissionResult
from tests.builders import DEADLINES, OTHER_RECIPIENT, a_command
from tests.depth import at_depth
from tests.fakes import InMemoryMessageStore, ScriptedProvider
from tests.systems import assembled

CALLERS = 32


def _build_send(messages: MessageStore, provider: ScriptedProvider) -> SendSms:
    return assembled(messages=messages, provider=provider).send


@pytest.mark.parametrize(
    "command",
    [a_command(), a_command(smsid="chosen"), a_command(smsid="chosen", idempotency_key=None)],
    ids=["key", "key and id", "id"],
)
def test_one_of_many_callers_at_once_submits_and_the_others_replay(
    dynamodb_messages: DynamoDbMessageStore, command: SendSmsCommand
) -> None:
    provider, barrier = ScriptedProvider(), Barrier(CALLERS)

    def call(_: int) -> SubmissionResult[Message, SmsStatus] | None:
        send = _build_send(dynamodb_messages, provider)
        barrier.wait()
        try:
            return send(command)
        except RequestInProgressError:
            return None

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [answer for answer in pool.map(call, range(CALLERS)) if answer is not None]
    assert len(provider.submissions) == 1
    assert sum(1 for answer in answers if not answer.replayed) == 1
    assert len({answer.order.smsid for answer in answers}) == 1


COMMANDS = st.builds(
    a_command,
    client=st.sampled_from(["client1", "client2"]),
    recipient=st.sampled_from(["+819000000001", OTHER_RECIPIENT]),
    content=st.sampled_from([SmsContent(text="a"), SmsContent(text="b")]),
    smsid=st.sampled_from([None, "chosen1", "chosen2"]),
    idempotency_key=st.sampled_from(["key1", "key2"]),
)


@settings(max_examples=at_depth(usual=100, proof=300), deadline=None)
@given(commands=st.lists(COMMANDS, max_size=12))
def test_an_idempotency_key_has_the_effect_of_its_first_request_only(commands: Sequence[SendSmsCommand]) -> None:
    provider = ScriptedProvider()
    send = _build_send(InMemoryMessageStore(deadlines=DEADLINES), provider)
    first_commands: dict[tuple[str, str | None], SendSmsCommand] = {}
    smsids_by_scope: dict[tuple[str, str | None], str] = {}
    for command in commands:
        scope = (command.client, command.idempotency_key)
        try:
            answer = send(command)
        except (IdempotencyKeyReusedError, SmsidTakenError):
            # A different request with this key or this id came first.
            assert first_commands.get(scope) != command
            continue
        assert first_commands.setdefault(scope, command) == command
        assert answer.replayed is (scope in smsids_by_scope)
        assert smsids_by_scope.setdefault(scope, answer.order.smsid) == answer.order.smsid
    smsids = [submission.smsid for submission in provider.submissions]
    assert sorted(smsids) == sorted(smsids_by_scope.values())
    assert len(set(smsids)) == len(smsids)
