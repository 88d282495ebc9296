"""Where a recording stands is a function of its facts, of what is wanted and of the time. (I6, I9, I25)"""

from __future__ import annotations

from collections.abc import Iterable
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
    ReadyFact,
    Recording,
    RecordingFact,
    Role,
    RoleCorrection,
    StoredFile,
    is_recording_id,
)
from switchboard.domain.recording.object_keys import job_key, recording_id_of_job, recording_key
from switchboard.domain.recording.retry_schedule import next_attempt_after, next_due
from switchboard.domain.recording.status import (
    ChannelState,
    RecordingDeadlines,
    RecordingState,
    channel_status,
    fetch_deadline,
    status_of,
)

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
CALLED = START - timedelta(minutes=5)
INSTANT = timedelta(milliseconds=1)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DEADLINES = RecordingDeadlines()
DEADLINE = CALLED + 7 * DAY - HOUR
LEFT, RIGHT, MONAURAL = Channel.LEFT, Channel.RIGHT, Channel.MONAURAL
FILE = StoredFile(key="k", bytes=9, sha256="0" * 64, content_type="audio/mpeg", file_name="a.mp3", seconds=1.5)


def announced(at: datetime = START, *, called_at: datetime | None = CALLED, tel: str = "anonymous") -> ReadyFact:
    return ReadyFact(tel=tel, date="as it came", called_at=called_at, at=at)


def ended(
    end: FetchEnd, *, at: datetime = START + MINUTE, channel: Channel = LEFT, attempt: str = "first"
) -> FetchOutcome:
    return FetchOutcome(id=attempt, channel=channel, at=at, end=end, file=FILE if end is FetchEnd.STORED else None)


def begun(*, at: datetime = START, channel: Channel = LEFT, attempt: str = "first") -> FetchAttempt:
    return FetchAttempt(id=attempt, channel=channel, at=at)


def recording(*facts: RecordingFact, ready_fact: ReadyFact | None = None) -> Recording:
    first = Recording(recording_id="a1", ready_facts=frozenset({ready_fact or announced()}))
    return reduce(Recording.with_fact, facts, first)


def state(facts: Recording, now: datetime, channels: Iterable[Channel] = SPLIT) -> RecordingState:
    return status_of(facts, channels=frozenset(channels), deadlines=DEADLINES, now=now).state


def left(facts: Recording, now: datetime) -> ChannelState:
    return channel_status(facts, LEFT, deadlines=DEADLINES, now=now).state


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        ([], START, ChannelState.ANNOUNCED),
        ([], DEADLINE - INSTANT, ChannelState.ANNOUNCED),
        ([], DEADLINE, ChannelState.LOST),
        ([begun()], START, ChannelState.FETCHING),
        ([begun()], START + DAY, ChannelState.FETCHING),
        ([begun(at=DEADLINE - MINUTE)], DEADLINE + MINUTE, ChannelState.FETCHING),
        ([begun(at=DEADLINE - MINUTE)], DEADLINE + HOUR, ChannelState.LOST),
        ([begun(), ended(FetchEnd.FAILED)], START + DAY, ChannelState.FETCHING),
        ([begun(), ended(FetchEnd.FAILED)], DEADLINE, ChannelState.LOST),
        ([ended(FetchEnd.FORBIDDEN)], START + HOUR, ChannelState.FORBIDDEN),
        ([ended(FetchEnd.FORBIDDEN)], DEADLINE, ChannelState.FORBIDDEN),
        ([ended(FetchEnd.REFUSED)], START + HOUR, ChannelState.LOST),
        ([ended(FetchEnd.NOT_FOUND, at=START + HOUR - INSTANT)], START + 2 * HOUR, ChannelState.FETCHING),
        ([ended(FetchEnd.NOT_FOUND, at=START + HOUR)], START + 2 * HOUR, ChannelState.LOST),
        ([ended(FetchEnd.STORED)], START + HOUR, ChannelState.STORED),
        ([ended(FetchEnd.STORED)], START + 90 * DAY, ChannelState.STORED),
    ],
)
def test_a_channel_stands_where_its_attempts_and_the_time_have_left_it(
    facts: list[RecordingFact], now: datetime, expected: ChannelState
) -> None:
    assert left(recording(*facts), now) is expected


@pytest.mark.parametrize("other", [end for end in FetchEnd if end is not FetchEnd.STORED])
def test_what_is_stored_stays_stored_whatever_else_happened(other: FetchEnd) -> None:
    for at in (START, START + 2 * HOUR, DEADLINE + DAY):
        facts = recording(ended(FetchEnd.STORED), ended(other, at=at, attempt="second"))
        status = channel_status(facts, LEFT, deadlines=DEADLINES, now=DEADLINE + 2 * DAY)
        assert (status.state, status.file, status.problem) == (ChannelState.STORED, FILE, None)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], RecordingState.ANNOUNCED),
        ([begun()], RecordingState.FETCHING),
        ([ended(FetchEnd.STORED)], RecordingState.FETCHING),
        ([ended(FetchEnd.STORED), ended(FetchEnd.STORED, channel=RIGHT)], RecordingState.STORED),
        ([ended(FetchEnd.STORED), ended(FetchEnd.FORBIDDEN, channel=RIGHT)], RecordingState.PARTIAL),
        ([ended(FetchEnd.STORED), ended(FetchEnd.REFUSED, channel=RIGHT)], RecordingState.PARTIAL),
        ([ended(FetchEnd.FORBIDDEN), ended(FetchEnd.FORBIDDEN, channel=RIGHT)], RecordingState.FORBIDDEN),
        ([ended(FetchEnd.FORBIDDEN), ended(FetchEnd.REFUSED, channel=RIGHT)], RecordingState.LOST),
        ([ended(FetchEnd.REFUSED), ended(FetchEnd.REFUSED, channel=RIGHT)], RecordingState.LOST),
    ],
)
def test_a_recordings_state_follows_from_its_wanted_channels(
    facts: list[RecordingFact], expected: RecordingState
) -> None:
    assert state(recording(*facts), START + 2 * MINUTE) is expected


def test_one_forbidden_channel_does_not_keep_the_others_from_being_stored() -> None:
    facts = recording(*(ended(FetchEnd.FORBIDDEN, channel=each) for each in SPLIT))
    assert state(facts, START + HOUR, channels=tuple(Channel)) is RecordingState.FETCHING
    facts = facts.with_fact(ended(FetchEnd.STORED, channel=MONAURAL))
    assert state(facts, START + HOUR, channels=tuple(Channel)) is RecordingState.PARTIAL


def test_a_channel_that_was_stored_is_shown_though_nobody_wants_it_any_more() -> None:
    facts = recording(ended(FetchEnd.STORED, channel=MONAURAL))
    status = status_of(facts, channels={LEFT}, deadlines=DEADLINES, now=START)
    assert set(status.channels) == {LEFT, MONAURAL}


def test_a_problem_is_named_where_there_is_one() -> None:
    def problem(facts: Recording, now: datetime) -> str | None:
        return channel_status(facts, LEFT, deadlines=DEADLINES, now=now).problem

    assert problem(recording(), START) is None
    assert problem(recording(), DEADLINE) == "not_fetched"
    assert problem(recording(ended(FetchEnd.FAILED)), START + HOUR) == "failed"
    later = ended(FetchEnd.NOT_FOUND, at=START + 2 * MINUTE, attempt="second")
    assert problem(recording(later, ended(FetchEnd.FAILED)), START + HOUR) == "not_found"


def test_split_channels_are_fetched_until_shortly_before_the_seventh_day_after_the_call() -> None:
    assert fetch_deadline(recording(), LEFT, deadlines=DEADLINES) == CALLED + 7 * DAY - HOUR
    assert fetch_deadline(recording(), RIGHT, deadlines=DEADLINES) == CALLED + 7 * DAY - HOUR


def test_without_a_readable_time_of_the_call_the_announcement_counts() -> None:
    facts = recording(ready_fact=announced(called_at=None))
    assert fetch_deadline(facts, LEFT, deadlines=DEADLINES) == START + 7 * DAY - HOUR


def test_a_call_after_its_own_announcement_is_not_believed() -> None:
    facts = recording(ready_fact=announced(called_at=START + 400 * DAY))
    assert fetch_deadline(facts, LEFT, deadlines=DEADLINES) == START + 7 * DAY - HOUR


def test_what_is_announced_late_still_gets_its_hour() -> None:
    facts = recording(ready_fact=announced(called_at=START - 400 * DAY))
    assert fetch_deadline(facts, LEFT, deadlines=DEADLINES) == START + HOUR
    assert left(facts, START + HOUR - INSTANT) is ChannelState.ANNOUNCED


def test_the_mixed_file_does_not_run_out_in_seven_days() -> None:
    facts = recording(begun(channel=MONAURAL), ended(FetchEnd.FAILED, channel=MONAURAL))
    assert state(facts, START + 29 * DAY, channels=[MONAURAL]) is RecordingState.FETCHING
    assert state(facts, START + 30 * DAY, channels=[MONAURAL]) is RecordingState.LOST


def test_the_roles_are_the_documents_until_somebody_corrects_them() -> None:
    facts = recording()
    assert [facts.role_of(each) for each in (LEFT, RIGHT, MONAURAL)] == [Role.CUSTOMER, Role.OPERATOR, Role.MIXED]
    swapped = RoleCorrection(at=START, left=Role.OPERATOR, right=Role.CUSTOMER)
    facts = facts.with_fact(swapped)
    assert [facts.role_of(each) for each in (LEFT, RIGHT, MONAURAL)] == [Role.OPERATOR, Role.CUSTOMER, Role.MIXED]
    back = RoleCorrection(at=START + MINUTE, left=Role.CUSTOMER, right=Role.OPERATOR)
    assert facts.with_fact(back).with_fact(swapped).role_of(LEFT) is Role.CUSTOMER


def test_the_same_announcement_again_is_the_same_job() -> None:
    once = recording()
    again = once.with_fact(announced(START + HOUR))
    assert again == once
    assert recording(announced(START), ready_fact=announced(START + HOUR)) == once


def test_the_first_announcement_that_says_something_counts() -> None:
    facts = recording(ready_fact=announced(tel="", called_at=None))
    facts = facts.with_fact(announced(START + MINUTE, tel="034530XXXX", called_at=CALLED))
    facts = facts.with_fact(announced(START + HOUR, tel="2001", called_at=CALLED - DAY))
    assert (facts.announced_at, facts.tel, facts.called_at) == (START, "034530XXXX", CALLED)


def test_an_outcome_has_a_file_exactly_if_something_was_stored() -> None:
    for end in FetchEnd:
        file = None if end is FetchEnd.STORED else FILE
        with pytest.raises(ValueError, match="file"):
            FetchOutcome(id="a", channel=LEFT, at=START, end=end, file=file)


INSTANTS = st.sampled_from(
    [START + each for each in (timedelta(), MINUTE, 59 * MINUTE, HOUR, DAY, 6 * DAY, 7 * DAY, 8 * DAY, 31 * DAY)]
)
CHANNELS = st.sampled_from(Channel)
NAMES = st.sampled_from(["first", "second", "third"])


def outcomes() -> st.SearchStrategy[FetchOutcome]:
    return st.builds(
        lambda end, at, channel, attempt: ended(end, at=at, channel=channel, attempt=attempt),
        st.sampled_from(FetchEnd), INSTANTS, CHANNELS, NAMES,
    )  # fmt: skip


FACTS: st.SearchStrategy[RecordingFact] = st.one_of(
    st.builds(
        lambda at, called_at, tel: announced(at, called_at=called_at, tel=tel),
        INSTANTS, st.none() | INSTANTS.map(lambda at: at - 4 * DAY), st.sampled_from(["", "2001", "anonymous"]),
    ),
    st.builds(lambda at, channel, name: begun(at=at, channel=channel, attempt=name), INSTANTS, CHANNELS, NAMES),
    outcomes(),
    st.builds(RoleCorrection, at=INSTANTS, left=st.sampled_from(Role), right=st.sampled_from(Role)),
)  # fmt: skip


@settings(deadline=None)  # what is slow here is drawing the facts
@given(facts=st.lists(FACTS, max_size=8), data=st.data(), now=INSTANTS)
def test_neither_order_nor_repetition_of_the_facts_changes_anything(
    facts: list[RecordingFact], data: st.DataObject, now: datetime
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=4)) if facts else []
    shuffled = data.draw(st.permutations(facts + repeated))
    one, other = recording(*facts), recording(*shuffled)
    assert one == other
    assert status_of(one, channels=SPLIT, deadlines=DEADLINES, now=now) == status_of(
        other, channels=SPLIT, deadlines=DEADLINES, now=now
    )
    assert (one.tel, one.called_at, one.updated_at) == (other.tel, other.called_at, other.updated_at)


@settings(deadline=None)  # what is slow here is drawing the facts
@given(facts=st.lists(FACTS, max_size=8), more=FACTS, now=INSTANTS)
def test_no_further_fact_takes_back_what_was_stored(
    facts: list[RecordingFact], more: RecordingFact, now: datetime
) -> None:
    before = status_of(recording(*facts), channels=tuple(Channel), deadlines=DEADLINES, now=now)
    after = status_of(recording(*facts).with_fact(more), channels=tuple(Channel), deadlines=DEADLINES, now=now)
    for channel in Channel:
        if before.channels[channel].state is ChannelState.STORED:
            assert after.channels[channel].state is ChannelState.STORED


@settings(deadline=None)  # what is slow here is drawing the facts
@given(facts=st.lists(FACTS, max_size=8))
def test_every_recording_is_decided_in_the_end_and_looked_at_until_then(facts: list[RecordingFact]) -> None:
    given_ = recording(*facts)
    end = max(fetch_deadline(given_, each, deadlines=DEADLINES) for each in Channel) + 40 * DAY
    assert status_of(given_, channels=tuple(Channel), deadlines=DEADLINES, now=end).final
    due = next_due(given_, channels=tuple(Channel), deadlines=DEADLINES)
    if due is None:
        assert status_of(given_, channels=tuple(Channel), deadlines=DEADLINES, now=START).final
    assert next_due(replace(given_, closed_at=START), channels=tuple(Channel), deadlines=DEADLINES) is None


@pytest.mark.parametrize(
    ("facts", "due"),
    [
        ([], START + 16 * MINUTE),
        ([begun()], START + 16 * MINUTE),
        ([begun(), ended(FetchEnd.FAILED)], START + MINUTE + 5 * SECOND),
        ([begun(), ended(FetchEnd.NOT_FOUND)], START + MINUTE + 5 * SECOND),
        (
            [begun(), ended(FetchEnd.FAILED), begun(at=START + 2 * MINUTE, attempt="second")],
            START + 18 * MINUTE,
        ),
        (
            [begun(), ended(FetchEnd.FAILED, at=START + HOUR, attempt="second")],
            START + HOUR + 15 * SECOND,
        ),
        ([ended(FetchEnd.FAILED, at=DEADLINE - MINUTE)], DEADLINE),
        ([ended(FetchEnd.FAILED, at=DEADLINE + MINUTE)], DEADLINE + MINUTE),
        ([ended(FetchEnd.STORED)], None),
        ([ended(FetchEnd.FORBIDDEN)], None),
        ([ended(FetchEnd.REFUSED)], None),
    ],
)
def test_a_channel_is_due_for_its_next_attempt_for_one_that_never_ended_or_when_its_time_is_up(
    facts: list[RecordingFact], due: datetime | None
) -> None:
    assert next_due(recording(*facts), channels={LEFT}, deadlines=DEADLINES) == due


def test_the_first_channel_that_is_due_counts() -> None:
    facts = recording(begun(), ended(FetchEnd.FAILED))
    assert next_due(facts, channels=SPLIT, deadlines=DEADLINES) == START + MINUTE + 5 * SECOND


def test_an_attempt_comes_after_about_5_then_15_then_45_seconds_and_then_ever_later() -> None:
    delays = []
    for attempts in range(1, 12):
        at = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=0.5)
        assert at is not None
        delays.append((at - START) / SECOND)
    assert delays[:4] == [5, 15, 45, 135]
    assert delays == sorted(delays)
    assert delays[-1] == 6 * 60 * 60


@given(attempts=st.integers(1, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_delay_by_a_fifth_and_no_further(attempts: int, jitter: float) -> None:
    plain = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=0.5)
    spread = next_attempt_after(attempts, now=START, deadline=START + 7 * DAY, jitter=jitter)
    assert plain is not None
    assert spread is not None
    assert 0.8 - 1e-6 <= (spread - START) / (plain - START) <= 1.2 + 1e-6


def test_the_last_attempt_is_made_ten_minutes_before_the_deadline_and_none_later() -> None:
    deadline, now, attempts, last = START + 7 * DAY, START, 1, START
    while (at := next_attempt_after(attempts, now=now, deadline=deadline, jitter=0.9)) is not None:
        assert at > now
        now, attempts, last = at, attempts + 1, at
    assert last == deadline - 10 * MINUTE
    assert 30 < attempts < 40


def test_the_first_attempt_is_made_at_once_and_not_after_the_deadline() -> None:
    assert next_attempt_after(0, now=START, deadline=START + INSTANT, jitter=0.5) == START
    assert next_attempt_after(0, now=START, deadline=START, jitter=0.5) is None


IDS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", fullmatch=True).filter(lambda text: ".." not in text)


@pytest.mark.parametrize("text", ["21061600000268000060", "1563433858.66", "a", "A-b_c.d", "0" * 64])
def test_an_id_is_one_in_either_of_the_documents_forms(text: str) -> None:
    assert is_recording_id(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a..b", "-a", "_a", ".a", "a/b", "a\\b", "a%2fb", "a b", "a\n", "a\x00", "あ", "１", "0" * 65],
)
def test_what_could_leave_its_place_in_a_path_is_no_id(text: str) -> None:
    assert not is_recording_id(text)
    with pytest.raises(ValueError, match="id"):
        job_key(text)
    with pytest.raises(ValueError, match="id"):
        recording_key(text, LEFT, at=START)
    assert recording_id_of_job(f"jobs/{text}.json") is None


@given(recording_id=IDS, channel=CHANNELS)
def test_keys_lead_back_to_what_they_were_made_from(recording_id: str, channel: Channel) -> None:
    assert recording_id_of_job(job_key(recording_id)) == recording_id
    id_, file_name = recording_key(recording_id, channel, at=START).split("/")[-2:]
    assert (id_, file_name) == (recording_id, f"{channel.value}.mp3")


def test_a_recordings_file_lies_under_the_day_of_its_call_in_utc() -> None:
    tokyo = datetime.fromisoformat("2026-11-22T08:59:59+09:00")
    assert recording_key("a1", LEFT, at=tokyo) == "recordings/2026/11/21/a1/left.mp3"
    assert job_key("1563433858.66") == "jobs/1563433858.66.json"


@pytest.mark.parametrize(
    "key",
    ["", "jobs/", "jobs/a.json.bak", "bulk/a.json", "recordings/2026/11/22/a/left.mp3"],
)
def test_a_key_that_is_no_jobs_leads_to_no_id(key: str) -> None:
    assert recording_id_of_job(key) is None
