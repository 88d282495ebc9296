"""The status of a recording follows from its facts, the channels to fetch and the time. (I6, I9, I25)"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.domain.recording.facts import (
    SPLIT,
    Channel,
    FetchAttempt,
    FetchEnd,
    FetchOutcome,
    QuarantinedFile,
    ReadyFact,
    Recording,
    RecordingFact,
    Role,
    RoleCorrection,
    StoredFile,
    is_recording_id,
)
from switchboard.domain.recording.object_keys import job_key, recording_id_of_job, recording_key, unrecognised_key
from switchboard.domain.recording.policy import RecordingPolicy
from switchboard.domain.recording.retry_schedule import next_attempt_after, next_attempt_after_404, next_due
from switchboard.domain.recording.status import (
    ChannelState,
    RecordingDeadlines,
    RecordingState,
    channel_status,
    fetch_deadline,
    status_of,
)
from tests.fakes.recordings import add_fact

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
CALLED = START - timedelta(minutes=5)
INSTANT = timedelta(milliseconds=1)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DEADLINES = RecordingDeadlines()
DEADLINE = CALLED + 7 * DAY - HOUR
LEFT, RIGHT, MONAURAL = Channel.LEFT, Channel.RIGHT, Channel.MONAURAL
FILE = StoredFile(key="k", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="a.mp3", seconds=1.5)
BYTES = QuarantinedFile(key="q", bytes=9, sha256="1" * 64, is_text=False)
OTHER_BYTES = QuarantinedFile(key="q", bytes=9, sha256="2" * 64, is_text=False)
CUT = QuarantinedFile(key="q", bytes=9, sha256="1" * 64, is_text=False, is_cut=True)
PAGE = QuarantinedFile(key="q", bytes=9, sha256="3" * 64, is_text=True)


def a_ready_fact(at: datetime = START, *, called_at: datetime | None = CALLED, tel: str = "anonymous") -> ReadyFact:
    return ReadyFact(tel=tel, date="unchanged", called_at=called_at, at=at)


def an_outcome(
    end: FetchEnd,
    *,
    at: datetime = START + MINUTE,
    channel: Channel = LEFT,
    attempt: str = "first",
    unrecognised: QuarantinedFile = BYTES,
) -> FetchOutcome:
    return FetchOutcome(
        id=attempt,
        channel=channel,
        at=at,
        end=end,
        file=FILE if end is FetchEnd.STORED else None,
        unrecognised=unrecognised if end is FetchEnd.QUARANTINED or unrecognised is CUT else None,
    )


def an_attempt(*, at: datetime = START, channel: Channel = LEFT, attempt: str = "first") -> FetchAttempt:
    return FetchAttempt(id=attempt, channel=channel, at=at)


def a_recording(*facts: RecordingFact, ready_fact: ReadyFact | None = None) -> Recording:
    first = Recording(recording_id="a1", ready_facts=frozenset({ready_fact or a_ready_fact()}))
    return reduce(add_fact, facts, first)


def state_at(recording: Recording, now: datetime, channels: Iterable[Channel] = SPLIT) -> RecordingState:
    return status_of(recording, channels=frozenset(channels), deadlines=DEADLINES, now=now).state


def left_state_at(recording: Recording, now: datetime) -> ChannelState:
    return channel_status(recording, LEFT, deadlines=DEADLINES, now=now).state


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        pytest.param([], START, ChannelState.ANNOUNCED, id="no attempt"),
        pytest.param([], DEADLINE - INSTANT, ChannelState.ANNOUNCED, id="no attempt, just before the deadline"),
        pytest.param([], DEADLINE, ChannelState.LOST, id="no attempt, at the deadline"),
        pytest.param([an_attempt()], START, ChannelState.FETCHING, id="attempt in progress"),
        pytest.param([an_attempt()], START + DAY, ChannelState.FETCHING, id="attempt without outcome, a day later"),
        pytest.param(
            [an_attempt(at=DEADLINE - MINUTE)],
            DEADLINE + MINUTE,
            ChannelState.FETCHING,
            id="attempt just before the deadline",
        ),
        pytest.param(
            [an_attempt(at=DEADLINE - MINUTE)],
            DEADLINE + HOUR,
            ChannelState.LOST,
            id="attempt without outcome, past the deadline",
        ),
        pytest.param([an_attempt(), an_outcome(FetchEnd.FAILED)], START + DAY, ChannelState.FETCHING, id="failed"),
        pytest.param(
            [an_attempt(), an_outcome(FetchEnd.FAILED)], DEADLINE, ChannelState.LOST, id="failed, at the deadline"
        ),
        pytest.param([an_outcome(FetchEnd.FORBIDDEN)], START + HOUR, ChannelState.FORBIDDEN, id="forbidden"),
        pytest.param(
            [an_outcome(FetchEnd.FORBIDDEN)], DEADLINE, ChannelState.FORBIDDEN, id="forbidden, at the deadline"
        ),
        pytest.param([an_outcome(FetchEnd.REFUSED)], START + HOUR, ChannelState.LOST, id="refused"),
        pytest.param([an_outcome(FetchEnd.TOO_LARGE)], START + HOUR, ChannelState.LOST, id="too large"),
        pytest.param(
            [an_outcome(FetchEnd.QUARANTINED)], START + DAY, ChannelState.FETCHING, id="unrecognised bytes once"
        ),
        pytest.param(
            [an_outcome(FetchEnd.QUARANTINED), an_outcome(FetchEnd.QUARANTINED, attempt="second")],
            START + HOUR,
            ChannelState.QUARANTINED,
            id="the same unrecognised bytes twice",
        ),
        pytest.param(
            [
                an_outcome(FetchEnd.QUARANTINED),
                an_outcome(FetchEnd.FAILED, attempt="second"),
                an_outcome(FetchEnd.QUARANTINED, attempt="third"),
            ],
            START + HOUR,
            ChannelState.QUARANTINED,
            id="the same unrecognised bytes, a failure between",
        ),
        pytest.param(
            [
                an_outcome(FetchEnd.QUARANTINED),
                an_outcome(FetchEnd.QUARANTINED, attempt="second", unrecognised=OTHER_BYTES),
            ],
            START + DAY,
            ChannelState.FETCHING,
            id="other unrecognised bytes",
        ),
        pytest.param(
            [
                an_outcome(FetchEnd.FAILED, unrecognised=CUT),
                an_outcome(FetchEnd.FAILED, attempt="second", unrecognised=CUT),
            ],
            START + DAY,
            ChannelState.FETCHING,
            id="the same cut bytes twice",
        ),
        pytest.param(
            [an_outcome(FetchEnd.FAILED, unrecognised=CUT)],
            START + 8 * DAY,
            ChannelState.QUARANTINED,
            id="cut bytes, and the deadline",
        ),
        pytest.param(
            [
                an_outcome(FetchEnd.QUARANTINED, unrecognised=PAGE),
                an_outcome(FetchEnd.QUARANTINED, attempt="second", unrecognised=PAGE),
            ],
            START + DAY,
            ChannelState.FETCHING,
            id="the same page twice",
        ),
        pytest.param(
            [an_outcome(FetchEnd.QUARANTINED, unrecognised=PAGE)],
            DEADLINE,
            ChannelState.QUARANTINED,
            id="a page, at the deadline",
        ),
        pytest.param(
            [an_outcome(FetchEnd.QUARANTINED), an_outcome(FetchEnd.NOT_FOUND, at=START + HOUR, attempt="second")],
            START + 2 * HOUR,
            ChannelState.QUARANTINED,
            id="unrecognised bytes, then not found after the first hour",
        ),
        pytest.param(
            [an_outcome(FetchEnd.QUARANTINED), an_outcome(FetchEnd.FORBIDDEN, attempt="second")],
            START + HOUR,
            ChannelState.FORBIDDEN,
            id="unrecognised bytes, then forbidden",
        ),
        pytest.param(
            [an_outcome(FetchEnd.NOT_FOUND, at=START + HOUR - INSTANT)],
            START + 2 * HOUR,
            ChannelState.FETCHING,
            id="not found in the first hour",
        ),
        pytest.param(
            [an_outcome(FetchEnd.NOT_FOUND, at=START + HOUR)],
            START + 2 * HOUR,
            ChannelState.LOST,
            id="not found after the first hour",
        ),
        pytest.param([an_outcome(FetchEnd.STORED)], START + HOUR, ChannelState.STORED, id="stored"),
        pytest.param([an_outcome(FetchEnd.STORED)], START + 90 * DAY, ChannelState.STORED, id="stored, 90 days later"),
    ],
)
def test_attempts_and_the_time_decide_the_state_of_a_channel(
    facts: list[RecordingFact], now: datetime, expected: ChannelState
) -> None:
    assert left_state_at(a_recording(*facts), now) is expected


@pytest.mark.parametrize("other", [end for end in FetchEnd if end is not FetchEnd.STORED])
def test_a_stored_channel_stays_stored_after_any_other_end(other: FetchEnd) -> None:
    for at in (START, START + 2 * HOUR, DEADLINE + DAY):
        recording = a_recording(an_outcome(FetchEnd.STORED), an_outcome(other, at=at, attempt="second"))
        status = channel_status(recording, LEFT, deadlines=DEADLINES, now=DEADLINE + 2 * DAY)
        assert (status.state, status.file, status.problem) == (ChannelState.STORED, FILE, None)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([], RecordingState.ANNOUNCED, id="no attempt"),
        pytest.param([an_attempt()], RecordingState.FETCHING, id="attempt on one channel"),
        pytest.param([an_outcome(FetchEnd.STORED)], RecordingState.FETCHING, id="one stored"),
        pytest.param(
            [an_outcome(FetchEnd.STORED), an_outcome(FetchEnd.STORED, channel=RIGHT)],
            RecordingState.STORED,
            id="both stored",
        ),
        pytest.param(
            [an_outcome(FetchEnd.STORED), an_outcome(FetchEnd.FORBIDDEN, channel=RIGHT)],
            RecordingState.PARTIAL,
            id="one stored, one forbidden",
        ),
        pytest.param(
            [an_outcome(FetchEnd.STORED), an_outcome(FetchEnd.REFUSED, channel=RIGHT)],
            RecordingState.PARTIAL,
            id="one stored, one refused",
        ),
        pytest.param(
            [an_outcome(FetchEnd.STORED)]
            + [an_outcome(FetchEnd.QUARANTINED, channel=RIGHT, attempt=attempt) for attempt in ("second", "third")],
            RecordingState.PARTIAL,
            id="one stored, one quarantined",
        ),
        pytest.param(
            [an_outcome(FetchEnd.FORBIDDEN), an_outcome(FetchEnd.FORBIDDEN, channel=RIGHT)],
            RecordingState.FORBIDDEN,
            id="both forbidden",
        ),
        pytest.param(
            [an_outcome(FetchEnd.FORBIDDEN), an_outcome(FetchEnd.REFUSED, channel=RIGHT)],
            RecordingState.LOST,
            id="one forbidden, one refused",
        ),
        pytest.param(
            [an_outcome(FetchEnd.REFUSED), an_outcome(FetchEnd.REFUSED, channel=RIGHT)],
            RecordingState.LOST,
            id="both refused",
        ),
    ],
)
def test_the_channels_decide_the_state_of_a_recording(facts: list[RecordingFact], expected: RecordingState) -> None:
    assert state_at(a_recording(*facts), START + 2 * MINUTE) is expected


def test_a_recording_with_forbidden_channels_still_fetches_the_others() -> None:
    recording = a_recording(*(an_outcome(FetchEnd.FORBIDDEN, channel=channel) for channel in SPLIT))
    assert state_at(recording, START + HOUR, channels=tuple(Channel)) is RecordingState.FETCHING
    recording = add_fact(recording, an_outcome(FetchEnd.STORED, channel=MONAURAL))
    assert state_at(recording, START + HOUR, channels=tuple(Channel)) is RecordingState.PARTIAL


def test_a_stored_channel_is_in_the_status_if_not_fetched_any_more() -> None:
    recording = a_recording(an_outcome(FetchEnd.STORED, channel=MONAURAL))
    status = status_of(recording, channels={LEFT}, deadlines=DEADLINES, now=START)
    assert set(status.channels) == {LEFT, MONAURAL}


def test_the_problem_is_the_end_of_the_last_attempt() -> None:
    def problem_at(recording: Recording, now: datetime) -> str | None:
        return channel_status(recording, LEFT, deadlines=DEADLINES, now=now).problem

    assert problem_at(a_recording(), START) is None
    assert problem_at(a_recording(), DEADLINE) == "not_fetched"
    assert problem_at(a_recording(an_outcome(FetchEnd.FAILED)), START + HOUR) == "failed"
    later = an_outcome(FetchEnd.NOT_FOUND, at=START + 2 * MINUTE, attempt="second")
    assert problem_at(a_recording(later, an_outcome(FetchEnd.FAILED)), START + HOUR) == "not_found"


def test_split_channels_are_fetched_until_an_hour_before_seven_days() -> None:
    assert fetch_deadline(a_recording(), LEFT, deadlines=DEADLINES) == CALLED + 7 * DAY - HOUR
    assert fetch_deadline(a_recording(), RIGHT, deadlines=DEADLINES) == CALLED + 7 * DAY - HOUR


def test_a_call_without_a_readable_time_counts_from_its_ready_fact() -> None:
    recording = a_recording(ready_fact=a_ready_fact(called_at=None))
    assert fetch_deadline(recording, LEFT, deadlines=DEADLINES) == START + 7 * DAY - HOUR


def test_a_call_later_than_its_ready_fact_counts_from_that_fact() -> None:
    recording = a_recording(ready_fact=a_ready_fact(called_at=START + 400 * DAY))
    assert fetch_deadline(recording, LEFT, deadlines=DEADLINES) == START + 7 * DAY - HOUR


def test_a_recording_reported_late_is_fetched_for_an_hour() -> None:
    recording = a_recording(ready_fact=a_ready_fact(called_at=START - 400 * DAY))
    assert fetch_deadline(recording, LEFT, deadlines=DEADLINES) == START + HOUR
    assert left_state_at(recording, START + HOUR - INSTANT) is ChannelState.ANNOUNCED


def test_the_mixed_file_is_fetched_for_thirty_days() -> None:
    recording = a_recording(an_attempt(channel=MONAURAL), an_outcome(FetchEnd.FAILED, channel=MONAURAL))
    assert state_at(recording, START + 29 * DAY, channels=[MONAURAL]) is RecordingState.FETCHING
    assert state_at(recording, START + 30 * DAY, channels=[MONAURAL]) is RecordingState.LOST


def test_the_roles_are_the_documents_until_a_correction() -> None:
    recording = a_recording()
    assert [recording.role_of(channel) for channel in (LEFT, RIGHT, MONAURAL)] == [
        Role.CUSTOMER,
        Role.OPERATOR,
        Role.MIXED,
    ]
    swapped = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    recording = add_fact(recording, swapped)
    assert [recording.role_of(channel) for channel in (LEFT, RIGHT, MONAURAL)] == [
        Role.OPERATOR,
        Role.CUSTOMER,
        Role.MIXED,
    ]
    back = RoleCorrection(at=START + MINUTE, left=Role.CUSTOMER, right=Role.OPERATOR)
    assert add_fact(add_fact(recording, back), swapped).role_of(LEFT) is Role.CUSTOMER


def test_a_repeated_ready_fact_changes_nothing() -> None:
    once = a_recording()
    again = add_fact(once, a_ready_fact(START + HOUR))
    assert again == once
    assert a_recording(a_ready_fact(START), ready_fact=a_ready_fact(START + HOUR)) == once


def test_the_first_ready_fact_with_a_party_and_a_time_counts() -> None:
    recording = a_recording(ready_fact=a_ready_fact(tel="", called_at=None))
    recording = add_fact(recording, a_ready_fact(START + MINUTE, tel="034530XXXX", called_at=CALLED))
    recording = add_fact(recording, a_ready_fact(START + HOUR, tel="2001", called_at=CALLED - DAY))
    assert (recording.announced_at, recording.tel, recording.called_at) == (START, "034530XXXX", CALLED)


def test_an_outcome_has_a_file_if_and_only_if_it_is_stored() -> None:
    for end in FetchEnd:
        file = None if end is FetchEnd.STORED else FILE
        with pytest.raises(ValueError, match="file"):
            FetchOutcome(id="a", channel=LEFT, at=START, end=end, file=file)


@pytest.mark.parametrize(
    ("unrecognised", "allowed"),
    [
        pytest.param(None, frozenset(FetchEnd) - {FetchEnd.QUARANTINED}, id="no unrecognised file"),
        pytest.param(BYTES, {FetchEnd.QUARANTINED}, id="a whole one"),
        pytest.param(CUT, {FetchEnd.FAILED}, id="a cut one"),
    ],
)
def test_an_outcome_has_an_unrecognised_file_that_fits_its_end(
    unrecognised: QuarantinedFile | None, allowed: Collection[FetchEnd]
) -> None:
    for end in FetchEnd:
        file = FILE if end is FetchEnd.STORED else None
        with nullcontext() if end in allowed else pytest.raises(ValueError, match="file"):
            FetchOutcome(id="a", channel=LEFT, at=START, end=end, file=file, unrecognised=unrecognised)


INSTANTS = st.sampled_from(
    [START + age for age in (timedelta(), MINUTE, 59 * MINUTE, HOUR, DAY, 6 * DAY, 7 * DAY, 8 * DAY, 31 * DAY)]
)
CHANNELS = st.sampled_from(Channel)
NAMES = st.sampled_from(["first", "second", "third"])


def outcomes() -> st.SearchStrategy[FetchOutcome]:
    return st.builds(
        lambda end, at, channel, attempt: an_outcome(end, at=at, channel=channel, attempt=attempt),
        st.sampled_from(FetchEnd), INSTANTS, CHANNELS, NAMES,
    )  # fmt: skip


FACTS: st.SearchStrategy[RecordingFact] = st.one_of(
    st.builds(
        lambda at, called_at, tel: a_ready_fact(at, called_at=called_at, tel=tel),
        INSTANTS, st.none() | INSTANTS.map(lambda at: at - 4 * DAY), st.sampled_from(["", "2001", "anonymous"]),
    ),
    st.builds(lambda at, channel, name: an_attempt(at=at, channel=channel, attempt=name), INSTANTS, CHANNELS, NAMES),
    outcomes(),
    st.builds(RoleCorrection, at=INSTANTS, left=st.sampled_from(Role), right=st.sampled_from(Role)),
)  # fmt: skip


@settings(deadline=None)  # drawing the facts is slow
@given(facts=st.lists(FACTS, max_size=8), data=st.data(), now=INSTANTS)
def test_order_and_repetition_of_facts_do_not_matter(
    facts: list[RecordingFact], data: st.DataObject, now: datetime
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=4)) if facts else []
    shuffled = data.draw(st.permutations(facts + repeated))
    recording, same = a_recording(*facts), a_recording(*shuffled)
    assert recording == same
    assert status_of(recording, channels=SPLIT, deadlines=DEADLINES, now=now) == status_of(
        same, channels=SPLIT, deadlines=DEADLINES, now=now
    )
    assert (recording.tel, recording.called_at) == (same.tel, same.called_at)


@settings(deadline=None)  # drawing the facts is slow
@given(facts=st.lists(FACTS, max_size=8), more=FACTS, now=INSTANTS)
def test_a_stored_channel_stays_stored_after_any_other_fact(
    facts: list[RecordingFact], more: RecordingFact, now: datetime
) -> None:
    recording = a_recording(*facts)
    before = status_of(recording, channels=tuple(Channel), deadlines=DEADLINES, now=now)
    after = status_of(add_fact(recording, more), channels=tuple(Channel), deadlines=DEADLINES, now=now)
    for channel in Channel:
        if before.channels[channel].state is ChannelState.STORED:
            assert after.channels[channel].state is ChannelState.STORED


@settings(deadline=None)  # drawing the facts is slow
@given(facts=st.lists(FACTS, max_size=8))
def test_every_recording_is_due_until_it_is_final(facts: list[RecordingFact]) -> None:
    recording = a_recording(*facts)
    end = max(fetch_deadline(recording, channel, deadlines=DEADLINES) for channel in Channel) + 40 * DAY
    assert status_of(recording, channels=tuple(Channel), deadlines=DEADLINES, now=end).final
    due = next_due(recording, channels=tuple(Channel), deadlines=DEADLINES)
    if due is None:
        assert status_of(recording, channels=tuple(Channel), deadlines=DEADLINES, now=START).final
    assert next_due(replace(recording, closed_at=START), channels=tuple(Channel), deadlines=DEADLINES) is None


@pytest.mark.parametrize(
    ("facts", "due"),
    [
        pytest.param([], START + 16 * MINUTE, id="no attempt"),
        pytest.param([an_attempt()], START + 16 * MINUTE, id="attempt in progress"),
        pytest.param([an_attempt(), an_outcome(FetchEnd.FAILED)], START + MINUTE + 5 * SECOND, id="failed"),
        pytest.param([an_attempt(), an_outcome(FetchEnd.NOT_FOUND)], START + MINUTE + 10 * SECOND, id="not found"),
        pytest.param(
            [an_attempt(), an_outcome(FetchEnd.FAILED), an_attempt(at=START + 2 * MINUTE, attempt="second")],
            START + 18 * MINUTE,
            id="second attempt in progress",
        ),
        pytest.param(
            [an_attempt(), an_outcome(FetchEnd.FAILED, at=START + HOUR, attempt="second")],
            START + HOUR + 15 * SECOND,
            id="second attempt failed",
        ),
        pytest.param(
            [an_outcome(FetchEnd.FAILED, at=DEADLINE - MINUTE)], DEADLINE, id="failed just before the deadline"
        ),
        pytest.param(
            [an_outcome(FetchEnd.FAILED, at=DEADLINE + MINUTE)], DEADLINE + MINUTE, id="failed after the deadline"
        ),
        pytest.param([an_outcome(FetchEnd.STORED)], None, id="stored"),
        pytest.param([an_outcome(FetchEnd.FORBIDDEN)], None, id="forbidden"),
        pytest.param([an_outcome(FetchEnd.REFUSED)], None, id="refused"),
    ],
)
def test_a_channel_is_due_by_its_attempts_and_its_deadline(facts: list[RecordingFact], due: datetime | None) -> None:
    assert next_due(a_recording(*facts), channels={LEFT}, deadlines=DEADLINES) == due


def test_a_recording_is_due_with_its_first_channel() -> None:
    recording = a_recording(an_attempt(), an_outcome(FetchEnd.FAILED))
    assert next_due(recording, channels=SPLIT, deadlines=DEADLINES) == START + MINUTE + 5 * SECOND


def test_the_pauses_grow_from_five_seconds_to_six_hours() -> None:
    delays = []
    for attempts in range(1, 12):
        at = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=0.5)
        assert at is not None
        delays.append((at - START) / SECOND)
    assert delays[:4] == [5, 15, 45, 135]
    assert delays == sorted(delays)
    assert delays[-1] == 6 * 60 * 60


@given(attempts=st.integers(1, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_pause_by_a_fifth_at_most(attempts: int, jitter: float) -> None:
    plain = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=0.5)
    spread = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=jitter)
    assert plain is not None
    assert spread is not None
    assert 0.8 - 1e-6 <= (spread - START) / (plain - START) <= 1.2 + 1e-6


def test_the_last_attempt_is_ten_minutes_before_the_deadline() -> None:
    deadline, now, attempts, last = START + 7 * DAY, START, 1, START
    while (at := next_attempt_after(attempts, now=now, deadline=deadline, jitter=0.9)) is not None:
        assert at > now
        now, attempts, last = at, attempts + 1, at
    assert last == deadline - 10 * MINUTE
    assert 30 < attempts < 40


def test_the_first_attempt_is_at_once_unless_the_deadline_is_over() -> None:
    assert next_attempt_after(0, now=START, deadline=START + INSTANT, jitter=0.5) == START
    assert next_attempt_after(0, now=START, deadline=START, jitter=0.5) is None


IDS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", fullmatch=True).filter(lambda text: ".." not in text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("21061600000268000060", id="20 digits"),
        pytest.param("1563433858.66", id="Unix time"),
        pytest.param("a", id="one letter"),
        pytest.param("A-b_c.d", id="every punctuation"),
        pytest.param("0" * 64, id="64 characters"),
    ],
)
def test_both_of_the_documents_forms_are_recording_ids(text: str) -> None:
    assert is_recording_id(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="dot"),
        pytest.param("..", id="two dots"),
        pytest.param("a..b", id="two dots inside"),
        pytest.param("-a", id="hyphen first"),
        pytest.param("_a", id="underscore first"),
        pytest.param(".a", id="dot first"),
        pytest.param("a/b", id="slash"),
        pytest.param("a\\b", id="backslash"),
        pytest.param("a%2fb", id="percent sign"),
        pytest.param("a b", id="blank"),
        pytest.param("a\n", id="newline"),
        pytest.param("a\x00", id="NUL"),
        pytest.param("あ", id="Japanese"),
        pytest.param("１", id="full-width digit"),
        pytest.param("0" * 65, id="65 characters"),
    ],
)
def test_a_text_that_is_unsafe_in_a_path_is_no_recording_id(text: str) -> None:
    assert not is_recording_id(text)
    with pytest.raises(ValueError, match="id"):
        job_key(text)
    with pytest.raises(ValueError, match="id"):
        recording_key(text, LEFT, at=START)
    assert recording_id_of_job(f"jobs/{text}.json") is None


@given(recording_id=IDS, channel=CHANNELS)
def test_keys_contain_the_id_and_the_channel(recording_id: str, channel: Channel) -> None:
    assert recording_id_of_job(job_key(recording_id)) == recording_id
    id_, file_name = recording_key(recording_id, channel, at=START).split("/")[-2:]
    assert (id_, file_name) == (recording_id, channel.value)


def test_a_recording_lies_under_the_day_of_its_call_in_utc() -> None:
    tokyo = datetime.fromisoformat("2026-11-22T08:59:59+09:00")
    assert recording_key("a1", LEFT, at=tokyo) == "recordings/2026/11/21/a1/left"
    assert unrecognised_key("a1", LEFT, "first", at=tokyo) == "quarantine/recordings/2026/11/21/a1/left/first"
    assert job_key("1563433858.66") == "jobs/1563433858.66.json"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("jobs/", id="folder"),
        pytest.param("jobs/a.json.bak", id="another suffix"),
        pytest.param("bulk/a.json", id="bulk file"),
        pytest.param("recordings/2026/11/22/a/left.mp3", id="recording"),
    ],
)
def test_a_key_of_no_job_contains_no_id(key: str) -> None:
    assert recording_id_of_job(key) is None


def test_a_404_is_final_from_its_deadline_on() -> None:
    until = START + MINUTE
    assert next_attempt_after_404(1, now=START, not_found_until=until, jitter=0.5) is not None
    assert next_attempt_after_404(1, now=until, not_found_until=until, jitter=0.5) is None


def test_a_recording_without_a_ready_fact_is_refused() -> None:
    with pytest.raises(ValueError, match="ready fact"):
        Recording(recording_id="a1", ready_facts=frozenset())


def test_a_recording_that_came_only_as_files_needs_no_request() -> None:
    by_file = ReadyFact(tel="", date="", called_at=None, at=START, by_file=True)
    policy = RecordingPolicy(channels=frozenset(SPLIT), monaural_as_fallback=True)

    assert policy.channels_to_fetch(a_recording(ready_fact=by_file), now=START) == frozenset()
    assert policy.channels_to_fetch(a_recording(), now=START) == frozenset(SPLIT)
