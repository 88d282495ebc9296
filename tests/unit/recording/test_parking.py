"""Forged call actions cost few requests, are parked beyond limits, and delay no true recording. (I12, I25, I28)"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import pytest

from switchboard.domain.errors import ProviderNotFoundError
from switchboard.domain.recording.facts import (
    Channel,
    ParkingReason,
    ReadyFact,
    Recording,
    RecordingFileName,
    RecordingReady,
    Side,
)
from switchboard.domain.recording.other_party import tel_and_time
from switchboard.domain.recording.priority import find_date, is_dated_near
from switchboard.domain.recording.status import ChannelState, RecordingDeadlines, fetch_deadline
from switchboard.guard.usage.announcement_limits import CounterAnnouncementLimits
from switchboard.usecases.operations.reconcile_overdue import SweepReport
from switchboard.usecases.recording.fetch import FetchResult
from switchboard.usecases.recording.release_parked import ReleaseParkedRecordings
from tests.fakes import START, Answer, CountingAnnouncementLimits, InMemoryCounterStore, ScriptedSource, flaky
from tests.unit.recording.test_fetch import ID, World, an_error

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEVER_THERE: Final = [ProviderNotFoundError] * 1_000
TODAY, OTHER_DAY = "26112200000001000050", "21061600000268000060"


def a_world(*, limits: CountingAnnouncementLimits | None = None, exists: bool = False) -> World:
    source = ScriptedSource() if exists else ScriptedSource(*map(an_error, NEVER_THERE))
    return World(source=source, limits=limits)


def a_release(world: World) -> ReleaseParkedRecordings:
    return ReleaseParkedRecordings(
        recordings=world.recordings,
        queue=world.queue,
        limits=world.limits,
        deadlines=world.policy.deadlines,
        clock=world.clock,
        look_again_after=15 * MINUTE,
    )


def announce(world: World, recording_id: str, *, at: datetime | None = None) -> FetchResult:
    at = at or world.clock.now()
    world.jobs.put(RecordingReady(recording_id=recording_id, tel="anonymous"), at=at)
    return world.fetch(recording_id, seconds_left=lambda: 900)


def test_a_recording_that_does_not_exist_costs_seven_requests() -> None:
    world = a_world()
    world.reconcile()

    assert Counter(channel for _, channel in world.source.requests) == {
        Channel.LEFT: 5,
        Channel.RIGHT: 1,
        Channel.MONAURAL: 1,
    }
    assert set(world.states().values()) == {ChannelState.LOST}
    assert world.clock.now() - START < 2 * HOUR


def test_requests_after_a_404_leave_through_the_backlog() -> None:
    world = a_world()
    announce(world, TODAY)

    assert world.queue.backlog == [True]
    assert [request for request in world.source.requests if request[0] == TODAY] == [(TODAY, Channel.LEFT)]


@pytest.mark.parametrize(
    ("recording_id", "expected"),
    [(TODAY, ParkingReason.DATED_NEAR), (OTHER_DAY, ParkingReason.OTHER_DATE)],
    ids=["of the day", "of another day"],
)
def test_a_recording_beyond_the_hours_limit_is_parked_and_announced(recording_id: str, expected: ParkingReason) -> None:
    world = a_world(limits=CountingAnnouncementLimits(announcements=0), exists=True)

    results = [announce(world, recording_id) for _ in range(2)]

    assert [result.parked for result in results] == [expected, None]
    assert all(result.status and result.status.state == "announced" for result in results)
    assert (world.source.requests, world.queue.entries, world.recordings.due) == ([], [], {})


def test_a_recording_beyond_the_days_retries_is_parked_without_a_request() -> None:
    world = a_world(limits=CountingAnnouncementLimits(retries=1))
    world.reconcile(days=1)

    # One request, one retry, and no more.
    assert len(world.source.requests) == 2
    assert world.recordings.rows[ID].parked is ParkingReason.NOT_FOUND
    assert len(world.recordings.rows[ID].attempts) == 2


def test_the_sweep_brings_out_the_newest_first_and_other_days_last() -> None:
    world = a_world(limits=CountingAnnouncementLimits(announcements=0), exists=True)
    for minute, recording_id in enumerate(["26112200000000000001", OTHER_DAY, "26112200000000000002"]):
        announce(world, recording_id, at=START + minute * MINUTE)
    world.clock.advance(HOUR)

    assert a_release(world)(SweepReport(), limit=200) == 3

    assert [id_ for id_, _ in world.queue.entries] == ["26112200000000000002", "26112200000000000001", OTHER_DAY]
    assert world.queue.backlog == [False, False, True]
    assert not any(recording.parked for recording in world.recordings.rows.values())
    assert world.fetch("26112200000000000001", seconds_left=lambda: 900).status is not None
    assert len(world.source.requests) == 2


def test_a_parked_retry_waits_for_the_days_limit() -> None:
    world = a_world(limits=CountingAnnouncementLimits(retries=0))
    world.reconcile(days=1)
    assert a_release(world)(SweepReport(), limit=200) == 0

    world.limits.retries = 5
    assert a_release(world)(SweepReport(), limit=200) == 1


class NothingAllowed(CountingAnnouncementLimits):
    """Limits that a flood has used up for ever."""

    def admit(self, at: datetime) -> bool:
        return False

    def admit_parked(self, number: int, at: datetime) -> int:
        return 0

    def admit_retry(self, at: datetime) -> bool:
        return False

    def retries_left(self, at: datetime) -> int:
        return 0


@pytest.mark.parametrize("called_at", [START, START - 20 * DAY, None], ids=["true time", "forged time", "no time"])
def test_no_flood_parks_a_true_recording_past_the_seventh_day(called_at: datetime | None) -> None:
    world = a_world(limits=NothingAllowed(), exists=True)
    world.jobs.put(RecordingReady(recording_id=TODAY, called_at=called_at), at=START)
    world.fetch(TODAY, seconds_left=lambda: 900)
    release = a_release(world)
    for _ in range(8 * 24):
        release(SweepReport(), limit=200)
        if world.queue.entries:
            break
        world.clock.advance(HOUR)

    result = world.fetch(TODAY, seconds_left=lambda: 900)

    assert result.status is not None
    assert result.status.state == "stored"
    assert 6 * DAY < world.clock.now() - START < 7 * DAY


def test_a_release_of_overdue_recordings_keeps_its_limit() -> None:
    world = a_world(limits=NothingAllowed(), exists=True)
    for number in range(5):
        announce(world, f"2611220000000000000{number}", at=START)
    world.clock.advance(7 * DAY)
    release = a_release(world)

    assert [release(SweepReport(), limit=2) for _ in range(3)] == [2, 2, 1]


def test_the_hours_limit_leaves_a_few_parked_ones_a_minute() -> None:
    limits = CounterAnnouncementLimits(
        counters=InMemoryCounterStore(), provider="biztel", announcements_per_hour=300, retries_per_day=2
    )

    assert sum(limits.admit(START) for _ in range(400)) == 300
    assert [limits.admit_parked(number, START) for number in (0, 1, 50)] == [0, 1, 1]
    assert limits.admit(START + HOUR)
    assert limits.admit_parked(5, START + HOUR) == 5
    assert [limits.admit_retry(START) for _ in range(3)] == [True, True, False]
    assert [limits.retries_left(at) for at in (START, START + DAY)] == [0, 2]


def test_limits_of_zero_are_none() -> None:
    limits = CounterAnnouncementLimits(
        counters=InMemoryCounterStore(), provider="biztel", announcements_per_hour=0, retries_per_day=0
    )

    assert all(limits.admit(START) and limits.admit_retry(START) for _ in range(100))


@pytest.mark.parametrize(
    ("recording_id", "near"),
    [
        pytest.param("26112200000001000050", True, id="of the day"),
        pytest.param("26112100000001000050", True, id="of the day before"),
        pytest.param("26112300000001000050", True, id="of the day after"),
        pytest.param("26112000000001000050", False, id="two days before"),
        pytest.param("26112400000001000050", False, id="two days after"),
        pytest.param("26022900000001000050", False, id="impossible date"),
        pytest.param("2611220000000100005", False, id="19 digits"),
        pytest.param("261122000000010000500", False, id="21 digits"),
        pytest.param(f"{int(START.timestamp())}.1", True, id="epoch of the day"),
        pytest.param(f"{int(START.timestamp()) - 3 * 86_400}.1", False, id="epoch of three days before"),
        pytest.param("0000000000.1", False, id="epoch zero"),
        pytest.param("9999999999.1", False, id="last epoch"),
        pytest.param("abc", False, id="no date"),
    ],
)
def test_an_id_is_near_if_its_date_is_within_a_day_in_japan(recording_id: str, near: bool) -> None:
    assert is_dated_near(recording_id, START) is near


def test_the_date_of_an_id_is_japans() -> None:
    assert str(find_date("1563376858.66")) == "2019-07-18"


def a_notice(tel: str, *, minute: int = 0, called_at: datetime | None = START) -> ReadyFact:
    return ReadyFact(tel=tel, date=f"{minute}", called_at=called_at, at=START + minute * MINUTE)


def a_name(from_number: str = "09000000001", to_number: str = "0300000000") -> RecordingFileName:
    return RecordingFileName(
        started_at=START - MINUTE,
        from_number=from_number,
        to_number=to_number,
        recording_id="a1",
        side=Side.SRC,
        channel=Channel.LEFT,
    )


FORGED_AT: Final = START - 30 * DAY


@pytest.mark.parametrize(
    ("notices", "names", "expected"),
    [
        pytest.param([a_notice("2000")], [a_name()], ("2000", START), id="one report"),
        pytest.param(
            [a_notice("080", called_at=FORGED_AT), a_notice("090-0000-0001", minute=1)],
            [a_name()],
            ("090-0000-0001", START - MINUTE),
            id="a forged one came first",
        ),
        pytest.param(
            [a_notice("080", called_at=FORGED_AT), a_notice("+819000000001", minute=1)],
            [a_name("0300000000", "09000000001")],
            ("+819000000001", START - MINUTE),
            id="an outgoing call",
        ),
        pytest.param(
            [a_notice("080", called_at=FORGED_AT), a_notice("anonymous", minute=1)],
            [a_name()],
            ("09000000001", START - MINUTE),
            id="no report has the number",
        ),
        pytest.param(
            [a_notice("080", called_at=FORGED_AT), a_notice("09000000001", minute=1)],
            [],
            ("080", FORGED_AT),
            id="no file yet",
        ),
    ],
)
def test_the_files_name_decides_between_different_reports(
    notices: list[ReadyFact], names: list[RecordingFileName], expected: tuple[str, datetime]
) -> None:
    recording = Recording(recording_id="a1", ready_facts=frozenset(notices))

    assert tel_and_time(recording, names) == expected


def test_a_forged_time_makes_the_fetch_deadline_no_earlier() -> None:
    forged, true = a_notice("1", called_at=FORGED_AT), a_notice("2", minute=1)
    recording = Recording(recording_id="a1", ready_facts=frozenset({forged, true}))

    deadlines = RecordingDeadlines()
    assert fetch_deadline(recording, Channel.LEFT, deadlines=deadlines) == START + 7 * DAY - HOUR


def test_a_report_is_added_after_its_entry_met_a_store_error() -> None:
    world = World()
    world.deliver()
    world.jobs.put(RecordingReady(recording_id=ID, tel="other"), at=START + MINUTE)
    world.fetch._jobs = flaky(world.jobs, read=[Answer.NOT_APPLIED])
    result = world.fetch(ID, job_key=f"jobs/{ID}/0.json", seconds_left=lambda: 900)
    assert (result.requeue_reason, world.queue.job_keys) == ("store", [f"jobs/{ID}/0.json"])

    world.fetch(ID, job_key=f"jobs/{ID}/0.json", seconds_left=lambda: 900)

    assert [notice.tel for notice in world.recordings.rows[ID].notices] == ["anonymous", "other"]
    assert len(world.source.requests) == 2
