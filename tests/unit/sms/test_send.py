"""A caller's request has one effect, the first time and every time it is repeated. (I3, I4)"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from switchboard.domain.errors import (
    AddressBlockedError,
    AuthenticationFailedError,
    ConcurrencyLimitError,
    FieldProblem,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    LockedOutError,
    NotSentError,
    RateLimitTimeoutError,
    RefusedError,
    RequestInProgressError,
    SlotUnavailableError,
    SmsidTakenError,
    StoreUnavailableError,
    SubmissionFailedError,
    SwitchboardError,
)
from switchboard.domain.orders import OutcomeKind
from switchboard.domain.sms.messages import Message, SmsContent, SmsState, SmsStatus, SmsSubmission
from switchboard.ports.provider_limits import ProviderGuard
from switchboard.ports.providers import Receipt
from switchboard.usecases.sms.send import SendSmsCommand, fingerprint_of
from switchboard.usecases.submission.submit_once import SubmissionResult, derive_id
from tests.builders import CLIENT, CONTENT, DEADLINES, MINUTE, OTHER_RECIPIENT, RECIPIENT, a_command
from tests.fakes import (
    START,
    Answer,
    CountingIds,
    Ending,
    FixedClock,
    InMemoryMessageStore,
    InMemoryOutbox,
    ScriptedGuard,
    ScriptedProvider,
    down,
    flaky,
)
from tests.systems import WAIT_BUDGET, System, assembled

SMSID = derive_id(client=CLIENT, key="order-1")


class _Setting:
    """A system over fakes, with the fakes."""

    def __init__(self, *endings: Ending, guard_raises: tuple[SwitchboardError, ...] = ()) -> None:
        self.clock = FixedClock()
        self.messages = InMemoryMessageStore()
        self.outbox = InMemoryOutbox()
        self.provider = ScriptedProvider(*endings)
        self.guard = ScriptedGuard(self.clock, *guard_raises)
        self.ids = CountingIds()

    def system(self, messages: InMemoryMessageStore | None = None, guard: ProviderGuard | None = None) -> System:
        return assembled(
            messages=messages or self.messages,
            outbox=self.outbox,
            provider=self.provider,
            clock=self.clock,
            guard=guard or self.guard,
            ids=self.ids,
        )

    def send(self, command: SendSmsCommand | None = None) -> SubmissionResult[Message, SmsStatus]:
        return self.system().send(command or a_command())

    def state(self, smsid: str = SMSID) -> SmsState:
        return self.system().query.one(smsid, client=CLIENT).status.state


class _SlotsLater(ScriptedGuard):
    """A guard whose slots are `by` later than now."""

    def __init__(self, clock: FixedClock, by: timedelta) -> None:
        super().__init__(clock)
        self._by = by
        self.latest: list[datetime] = []

    def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
        self.latest.append(latest)
        return super().acquire(latest=latest) + self._by


def test_an_accepted_message_is_submitted_unchanged() -> None:
    setting = _Setting()
    content = SmsContent(text="日本語", text_au="au", sender="Shop1", carrier="docomo")
    sent = setting.send(a_command(content=content))
    [submission] = setting.provider.submissions
    assert (submission.smsid, submission.recipient, submission.content) == (SMSID, RECIPIENT, content)
    assert not sent.replayed
    assert sent.order.content is None
    assert setting.state() is SmsState.ACCEPTED


def test_requests_without_id_and_key_are_independent() -> None:
    setting = _Setting()
    smsids = {setting.send(a_command(idempotency_key=None)).order.smsid for _ in range(2)}
    assert len(smsids) == 2
    assert len(setting.provider.submissions) == 2


def test_a_chosen_id_is_idempotent_without_a_key() -> None:
    setting = _Setting()
    command = a_command(smsid="chosen", idempotency_key=None)
    assert setting.send(command).order.smsid == "chosen"
    assert setting.send(command).replayed
    assert len(setting.provider.submissions) == 1


def test_a_repeated_request_is_replayed_and_sends_nothing() -> None:
    setting = _Setting()
    first = setting.send()
    again = setting.send()
    assert again.replayed
    assert again.order == first.order
    assert len(setting.provider.submissions) == 1


@pytest.mark.parametrize(
    "other",
    [
        a_command(recipient=OTHER_RECIPIENT),
        a_command(content=SmsContent(text="other")),
        a_command(content=SmsContent(text="text", sender="Shop1")),
        a_command(not_after=START + MINUTE),
        a_command(smsid="chosen"),
    ],
    ids=["recipient", "text", "sender", "not_after", "id"],
)
def test_a_key_of_another_request_is_refused(other: SendSmsCommand) -> None:
    for first, second in ((a_command(), other), (other, a_command())):
        setting = _Setting()
        setting.send(first)
        with pytest.raises(IdempotencyKeyReusedError):
            setting.send(second)
        assert len(setting.provider.submissions) == 1


def test_a_key_is_bound_to_the_id_chosen_with_it() -> None:
    setting = _Setting()
    assert setting.send(a_command(smsid="chosen")).order.smsid == "chosen"
    assert setting.send(a_command(smsid="chosen")).replayed
    for other in (a_command(smsid="another"), a_command(smsid="chosen", idempotency_key="order-2")):
        with pytest.raises(IdempotencyKeyReusedError):
            setting.send(other)
    assert len(setting.provider.submissions) == 1


def test_an_id_bound_to_a_key_of_another_client_is_taken() -> None:
    setting = _Setting()
    setting.send(a_command(smsid="chosen", idempotency_key="order-1"))
    [key_id] = setting.messages.bound
    for client, error in (("client2", SmsidTakenError), (CLIENT, IdempotencyKeyReusedError)):
        with pytest.raises(error):
            setting.send(a_command(client=client, smsid=key_id, idempotency_key=None))


def test_equal_keys_of_two_clients_are_independent() -> None:
    setting = _Setting()
    setting.send()
    assert not setting.send(a_command(client="client2")).replayed
    assert len({submission.smsid for submission in setting.provider.submissions}) == 2


@pytest.mark.parametrize("recipient", [RECIPIENT, OTHER_RECIPIENT], ids=["same request", "another request"])
def test_a_chosen_id_of_another_client_is_taken(recipient: str) -> None:
    setting = _Setting()
    setting.send(a_command(smsid="chosen", idempotency_key=None))
    with pytest.raises(SmsidTakenError) as raised:
        setting.send(a_command(client="client2", smsid="chosen", idempotency_key=None, recipient=recipient))
    assert raised.value.names == {"smsid": "chosen"}


def test_a_request_during_its_first_one_has_to_wait() -> None:
    setting = _Setting()

    class SecondCaller(ScriptedGuard):
        """A guard that repeats the request just before the first one is submitted."""

        def acquire(self, *, latest: datetime, order_id: str = "") -> datetime:
            with pytest.raises(RequestInProgressError) as raised:
                setting.send()
            assert raised.value.names == {"smsid": SMSID}
            return super().acquire(latest=latest)

    setting.system(guard=SecondCaller(setting.clock)).send(a_command())
    assert setting.send().replayed
    assert len(setting.provider.submissions) == 1


@pytest.mark.parametrize("ending", [Ending.LOST_BUT_TAKEN, Ending.LOST_ON_THE_WAY, Ending.UNREADABLE])
def test_a_lost_answer_is_unknown_and_never_sent_again(ending: Ending) -> None:
    setting = _Setting(ending)
    assert not setting.send().replayed
    assert setting.state() is SmsState.UNKNOWN
    assert setting.send().replayed
    assert len(setting.provider.submissions) == 1
    assert not setting.outbox.entries


def test_a_refusal_is_final_and_replayed_with_its_code() -> None:
    setting = _Setting(Ending.REFUSED)
    for replayed in (False, True):
        with pytest.raises(SubmissionFailedError) as raised:
            setting.send()
        assert isinstance(raised.value.cause, RefusedError)
        assert raised.value.cause.provider_code == "560"
        assert (raised.value.names, raised.value.replayed) == ({"smsid": SMSID}, replayed)
    assert len(setting.provider.submissions) == 1
    assert setting.state() is SmsState.REJECTED


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        (Ending.NOT_SENT, NotSentError),
        (Ending.UNAUTHENTICATED, AuthenticationFailedError),
        (Ending.BLOCKED, AddressBlockedError),
    ],
)
def test_an_unsent_message_fails_and_its_key_may_try_again(ending: Ending, cause: type[SwitchboardError]) -> None:
    setting = _Setting(ending)
    with pytest.raises(SubmissionFailedError) as raised:
        setting.send()
    assert isinstance(raised.value.cause, cause)
    assert setting.state() is SmsState.FAILED
    again = setting.send()
    assert not again.replayed
    assert again.order.smsid == SMSID
    assert setting.provider.taken[0].content == CONTENT
    assert len(setting.provider.taken) == 1
    assert len(again.order.claims) == 2


class _WithoutCredentials(ScriptedProvider):
    """A provider whose credentials the store does not give."""

    def submit(self, prepared: SmsSubmission) -> Receipt:
        raise StoreUnavailableError("the secret is not read")


def test_a_message_without_credentials_is_unsent_and_may_try_again() -> None:
    setting = _Setting()
    with_credentials, setting.provider = setting.provider, _WithoutCredentials()
    with pytest.raises(SubmissionFailedError) as raised:
        setting.send()
    assert isinstance(raised.value.cause, StoreUnavailableError)
    assert setting.state() is SmsState.FAILED

    setting.provider = with_credentials
    assert not setting.send().replayed
    assert len(with_credentials.taken) == 1


def test_a_day_of_repeated_requests_leaves_room_in_the_item() -> None:
    """An item has room for some 2,000 attempts. After that nothing more could be recorded under this key."""
    setting = _Setting(*[Ending.NOT_SENT] * 1_000)
    refused = 0
    while setting.clock.now() < START + DEADLINES.submission_after_request - 10 * MINUTE:
        with pytest.raises(SubmissionFailedError) as raised:
            setting.send()
        refused += isinstance(raised.value.cause, SlotUnavailableError)
        setting.clock.advance(timedelta(seconds=5))
    message = setting.messages.get(SMSID)
    assert message is not None
    attempts = message.claims
    assert [later.at - earlier.at for earlier, later in pairwise(attempts[:11])] == [timedelta(seconds=5)] * 10
    assert refused > 10_000
    assert len(attempts) < 450

    setting.provider = ScriptedProvider()
    setting.clock.advance(9 * MINUTE)
    assert setting.send().order.smsid == SMSID
    assert setting.state() is SmsState.ACCEPTED


def test_an_unreachable_provider_costs_no_slot() -> None:
    setting = _Setting()
    setting.provider.reachable = False
    guard = _SlotsLater(setting.clock, timedelta(seconds=1))
    with pytest.raises(SubmissionFailedError) as raised:
        setting.system(guard=guard).send(a_command())
    assert isinstance(raised.value.cause, NotSentError)
    assert guard.latest == []


@pytest.mark.parametrize(
    ("guard_raises", "endings"),
    [((RateLimitTimeoutError("full"),), ()), ((), (Ending.RATE_LIMITED,))],
    ids=["no slot", "rate limited"],
)
def test_a_message_without_a_slot_goes_to_the_queue(
    guard_raises: tuple[SwitchboardError, ...], endings: tuple[Ending, ...]
) -> None:
    setting = _Setting(*endings, guard_raises=guard_raises)
    sent = setting.send()
    assert list(setting.outbox.entries) == [SMSID]
    assert sent.order.content == CONTENT
    assert setting.state() is SmsState.QUEUED
    assert setting.send().replayed
    assert list(setting.outbox.entries) == [SMSID]
    assert not setting.provider.taken


def test_a_message_without_a_queue_is_requeued_by_the_sweep() -> None:
    setting = _Setting(guard_raises=(RateLimitTimeoutError("full"),))
    system = assembled(
        messages=setting.messages,
        outbox=down(InMemoryOutbox),
        provider=setting.provider,
        clock=setting.clock,
        guard=setting.guard,
    )
    assert system.send(a_command()).order.queued_at is not None
    setting.clock.advance(DEADLINES.requeue_after_queued)
    setting.system().sweep()
    assert list(setting.outbox.entries) == [SMSID]


@pytest.mark.parametrize(
    "error",
    [LockedOutError("open", reason="authentication"), StoreUnavailableError("limits")],
    ids=["locked out", "no store"],
)
def test_a_closed_guard_sends_and_queues_nothing(error: SwitchboardError) -> None:
    setting = _Setting(guard_raises=(error,))
    with pytest.raises(SubmissionFailedError) as raised:
        setting.send()
    assert raised.value.cause is error
    assert not setting.provider.submissions
    assert not setting.outbox.entries


def test_a_message_without_a_store_is_not_submitted() -> None:
    setting = _Setting()
    with pytest.raises(StoreUnavailableError):
        setting.system(down(InMemoryMessageStore)).send(a_command())
    assert not setting.provider.submissions


@pytest.mark.parametrize("ending", Ending)
def test_an_outcome_without_a_store_is_unknown(ending: Ending) -> None:
    setting = _Setting(ending)
    messages = flaky(setting.messages, record_outcome=[Answer.NOT_APPLIED] * 9)
    sent = setting.system(messages).send(a_command())
    outcome = sent.order.last_outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.UNKNOWN
    setting.clock.advance(DEADLINES.submission_after_claim)
    assert setting.state() is SmsState.UNKNOWN


def test_an_invalid_message_touches_nothing() -> None:
    setting = _Setting()
    setting.provider.problem = InvalidRequestError(FieldProblem("sender", "is not allowed"))
    for call in (setting.system().send, setting.system().send.check):
        with pytest.raises(InvalidRequestError):
            call(a_command(smsid="chosen"))
    assert not setting.messages.rows
    setting.provider.problem = None
    assert not setting.send(a_command(smsid="chosen")).replayed


def test_checking_a_request_touches_nothing() -> None:
    setting = _Setting()
    setting.system().send.check(a_command())
    assert not setting.messages.rows
    assert not setting.provider.submissions


@pytest.mark.parametrize(
    "not_after",
    [START, START - MINUTE],
    ids=["now", "a minute ago"],
)
def test_a_request_after_not_after_is_refused(not_after: datetime) -> None:
    setting = _Setting()
    with pytest.raises(InvalidRequestError) as raised:
        setting.send(a_command(not_after=not_after))
    assert [(problem.field, problem.code) for problem in raised.value.problems] == [("not_after", "in_the_past")]
    assert not setting.messages.rows


@pytest.mark.parametrize("smsid", [None, "chosen"])
def test_a_repeated_request_after_not_after_is_replayed(smsid: str | None) -> None:
    setting = _Setting()
    command = a_command(not_after=START + MINUTE, smsid=smsid)
    first = setting.send(command)
    setting.clock.advance(2 * MINUTE)
    again = setting.send(command)
    assert again.replayed
    assert again.order == first.order
    with pytest.raises(IdempotencyKeyReusedError):
        setting.send(a_command(not_after=START + MINUTE, smsid=smsid, recipient=OTHER_RECIPIENT))


def test_an_unsent_message_after_not_after_is_not_tried_again() -> None:
    setting = _Setting(Ending.NOT_SENT)
    command = a_command(not_after=START + MINUTE)
    with pytest.raises(SubmissionFailedError):
        setting.send(command)
    setting.clock.advance(MINUTE)
    again = setting.send(command)
    assert again.replayed
    assert setting.state() is SmsState.EXPIRED
    assert not setting.provider.submissions


def test_a_send_waits_for_its_slot_within_the_wait_budget() -> None:
    setting = _Setting()
    guard = _SlotsLater(setting.clock, timedelta(seconds=1))
    setting.system(guard=guard).send(a_command())
    assert guard.latest == [START + WAIT_BUDGET]
    assert setting.clock.now() == START + timedelta(seconds=1)
    assert len(setting.provider.taken) == 1


def test_a_slot_after_not_after_is_not_used() -> None:
    setting = _Setting()
    guard = _SlotsLater(setting.clock, timedelta(seconds=1))
    not_after = START + timedelta(milliseconds=500)
    sent = setting.system(guard=guard).send(a_command(not_after=not_after))
    assert guard.latest == [not_after]
    assert sent.order.queued_at is not None
    assert not setting.provider.submissions


def test_a_send_waits_for_a_permit_within_the_wait_budget() -> None:
    setting = _Setting(guard_raises=(ConcurrencyLimitError("full"),) * 3)
    sent = setting.send(a_command())
    assert sent.order.queued_at is None
    assert setting.clock.now() - START == timedelta(milliseconds=300)


class _AgeingProvider(ScriptedProvider):
    """A provider that notes the age of the connection at each submission."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__()
        self._clock = clock
        self._opened_at = START
        self.ages: list[timedelta] = []

    def open(self) -> None:
        super().open()
        self._opened_at = self._clock.now()

    def submit(self, prepared: SmsSubmission) -> Receipt:
        self.ages.append(self._clock.now() - self._opened_at)
        return super().submit(prepared)


def test_a_permit_after_a_wait_gets_a_new_connection() -> None:
    """The provider counts a request at its arrival: connecting after the slot would make it late."""
    setting = _Setting(guard_raises=(ConcurrencyLimitError("full"),) * 3)
    setting.provider = provider = _AgeingProvider(setting.clock)
    setting.send(a_command())
    assert setting.clock.now() - START == timedelta(milliseconds=300)
    assert provider.ages == [timedelta()]


@pytest.mark.parametrize("ahead_ms", [0, 1, 399, 400, 401, 1000, 1900])
def test_a_distant_slot_gets_a_new_connection(ahead_ms: int) -> None:
    """An opened connection stays usable for another half second (ports.providers)."""
    setting = _Setting()
    setting.provider = provider = _AgeingProvider(setting.clock)
    ahead = timedelta(milliseconds=ahead_ms)
    setting.system(guard=_SlotsLater(setting.clock, ahead)).send(a_command())
    assert setting.clock.now() - START == ahead
    assert [age <= timedelta(milliseconds=400) for age in provider.ages] == [True]


def test_a_message_without_a_permit_goes_to_the_queue() -> None:
    setting = _Setting(guard_raises=(ConcurrencyLimitError("full"),) * 1000)
    sent = setting.send(a_command())
    assert sent.order.queued_at is not None
    assert setting.clock.now() - START == WAIT_BUDGET


class _StaleOnce(ScriptedGuard):
    """A guard whose first slot is missed."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(clock)
        self.answers = [True, False]

    def is_stale(self, slot: datetime) -> bool:
        return self.answers.pop(0)


def test_a_missed_slot_is_replaced_by_another() -> None:
    setting = _Setting()
    guard = _StaleOnce(setting.clock)
    setting.system(guard=guard).send(a_command())
    assert guard.answers == []
    assert len(setting.provider.taken) == 1


@pytest.mark.parametrize("ending", Ending)
def test_the_guard_records_the_providers_answer(ending: Ending) -> None:
    setting = _Setting(ending)
    try:
        setting.send()
    except SubmissionFailedError as error:
        assert setting.guard.results == [error.cause]
    assert len(setting.guard.results) == 1
    assert (setting.guard.results[0] is None) is (ending is Ending.ACCEPTED)


def test_a_guard_without_a_store_changes_no_outcome() -> None:
    setting = _Setting()
    setting.system(guard=flaky(setting.guard, record_result=[Answer.NOT_APPLIED] * 9)).send(a_command())
    assert setting.state() is SmsState.ACCEPTED


def test_a_derived_id_fits_mediasms_and_one_client_and_key() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("a\0b", "c"), ("b", "a")]
    smsids = {derive_id(client=client, key=key) for client, key in pairs}
    assert len(smsids) == len(pairs)
    assert all(smsid.isalnum() and len(smsid) == 40 for smsid in smsids)


def test_fingerprints_are_equal_for_equal_requests_only() -> None:
    commands = [
        a_command(),
        a_command(client="client2"),
        a_command(recipient=OTHER_RECIPIENT),
        a_command(content=SmsContent(text=None, template_id="text")),
        a_command(content=SmsContent(text="text", text_au="")),
        a_command(idempotency_key=None),
        a_command(not_after=START),
        a_command(reference="order 1042"),
    ]
    assert len({fingerprint_of(command) for command in commands}) == len(commands)
    assert fingerprint_of(a_command()) == fingerprint_of(a_command())
