"""What every LaneStore does: it moves a cursor that only grows, and only while the circuit is closed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from switchboard.domain.rate_limits import CircuitRule, LaneMove, LaneState, Permit, SlotRequest
from switchboard.ports.provider_limits import LaneStore
from switchboard.storage.limits.provider_limits import DynamoDbLaneStore
from tests.contract.conftest import Aws

LANE = "mediasms#203.0.113.1"
STEP = 13_125
NOW = 1_800_000_000_000_000
RULE = CircuitRule(version="v1", limit=3, ceiling=8, in_flight=2)
OTHER_CREDENTIALS = CircuitRule(version="v2", limit=3, ceiling=8, in_flight=2)
LEASE = 30_000_000
MINE = Permit(workers=("mine",), until_us=NOW + LEASE)


def _slots(now: int = NOW, latest: int = NOW + 1_000_000, *, count: int = 1) -> SlotRequest:
    return SlotRequest(step_us=STEP, now_us=now, latest_us=latest, count=count)


def _restart(
    lanes: LaneStore, now: int = NOW, *, rule: CircuitRule = RULE, lane: str = LANE, permit: Permit = MINE
) -> LaneMove:
    return lanes.restart(lane, _slots(now), rule=rule, permit=permit)


def _append(
    lanes: LaneStore,
    now: int = NOW,
    *,
    latest: int = NOW + 1_000_000,
    rule: CircuitRule = RULE,
    lane: str = LANE,
    permit: Permit = MINE,
) -> LaneMove:
    return lanes.append(lane, _slots(now, latest), rule=rule, permit=permit)


def _of(*workers: str, until: int = NOW + LEASE, expired: Mapping[str, int] | None = None) -> Permit:
    return Permit(workers=workers, until_us=until, expired=expired or {})


def _refused(lanes: LaneStore, times: int, *, rule: CircuitRule = RULE) -> None:
    """A lane in use, whose last `times` requests were refused for the credentials of `rule`."""
    assert _restart(lanes, rule=rule).moved
    for _ in range(times):
        lanes.add_refusal(LANE, worker="mine", version="gone")


def test_a_new_lane_begins_now(lanes: LaneStore) -> None:
    move = _restart(lanes)
    assert move == LaneMove(
        moved=True, lane=LaneState(cursor_us=NOW + STEP, tried=frozenset({"v1"}), permits={"mine": NOW + LEASE})
    )


def test_nothing_is_appended_to_a_new_lane(lanes: LaneStore) -> None:
    assert _append(lanes) == LaneMove(moved=False, lane=LaneState())


def test_a_busy_lane_goes_on_where_it_is(lanes: LaneStore) -> None:
    _restart(lanes)
    move = _append(lanes, NOW + 1)
    assert move.moved
    assert move.lane.cursor_us == NOW + 2 * STEP


def test_a_busy_lane_does_not_begin_anew(lanes: LaneStore) -> None:
    cursor = _restart(lanes).lane.cursor_us
    for now in (NOW, cursor):
        move = _restart(lanes, now)
        assert not move.moved
        assert move.lane.cursor_us == cursor


def test_an_idle_lane_begins_anew_and_is_not_appended_to(lanes: LaneStore) -> None:
    cursor = _restart(lanes).lane.cursor_us
    assert not _append(lanes, cursor + 1).moved
    assert _restart(lanes, cursor + 1).lane.cursor_us == cursor + 1 + STEP


def test_a_slot_is_given_up_to_the_latest_that_is_asked_for(lanes: LaneStore) -> None:
    cursor = _restart(lanes).lane.cursor_us
    assert not _append(lanes, latest=cursor - 1).moved
    assert _append(lanes, latest=cursor).moved


def test_lanes_do_not_know_of_each_other(lanes: LaneStore) -> None:
    _restart(lanes)
    lanes.block(LANE, code="555")
    assert _restart(lanes, lane="mediasms#203.0.113.2").lane.cursor_us == NOW + STEP


def test_refusals_are_counted_and_open_the_circuit_at_the_limit(lanes: LaneStore) -> None:
    _refused(lanes, RULE.limit - 1)
    assert _append(lanes).moved
    assert lanes.add_refusal(LANE, worker="mine", version="gone").streak == RULE.limit
    move = _append(lanes)
    assert not move.moved
    assert move.lane.streak == RULE.limit
    assert not _restart(lanes, NOW + 10 * STEP).moved


def test_other_credentials_get_one_slot_while_the_circuit_is_open(lanes: LaneStore) -> None:
    _refused(lanes, RULE.limit)
    assert _append(lanes, rule=OTHER_CREDENTIALS).moved
    assert not _append(lanes, rule=OTHER_CREDENTIALS).moved
    assert not _restart(lanes, NOW + 10 * STEP, rule=OTHER_CREDENTIALS).moved


def test_no_credentials_get_a_slot_at_the_ceiling(lanes: LaneStore) -> None:
    _refused(lanes, RULE.ceiling)
    assert not _append(lanes, rule=OTHER_CREDENTIALS).moved
    assert not _restart(lanes, NOW + 10 * STEP, rule=OTHER_CREDENTIALS).moved


def test_a_streak_that_ended_closes_the_circuit(lanes: LaneStore) -> None:
    _refused(lanes, RULE.limit)
    lanes.end_streak(LANE, seen=RULE.limit, versions=["gone"])
    move = _append(lanes)
    assert move.moved
    assert move.lane.streak == 0


def test_the_second_streak_of_a_length_is_not_the_first(lanes: LaneStore) -> None:
    _refused(lanes, 1)
    lanes.end_streak(LANE, seen=1, versions=["gone"])
    lanes.add_refusal(LANE, worker="mine", version="gone")
    lanes.end_streak(LANE, seen=1, versions=["gone"])
    assert _append(lanes).lane.streak == 1


@pytest.mark.parametrize("seen", [1, 3])
def test_a_streak_that_changed_meanwhile_has_not_ended(lanes: LaneStore, seen: int) -> None:
    _refused(lanes, 2)
    lanes.end_streak(LANE, seen=seen, versions=["gone"])
    assert _append(lanes).lane.streak == 2


def test_ending_a_streak_that_is_not_there_does_nothing(lanes: LaneStore) -> None:
    lanes.end_streak(LANE, seen=1, versions=["gone"])
    assert _restart(lanes).moved


def test_what_was_tried_is_forgotten_but_for_one_version_while_there_is_no_streak(lanes: LaneStore) -> None:
    lanes.forget_tried(LANE, but="v2")
    _restart(lanes)
    _append(lanes, rule=OTHER_CREDENTIALS)
    lanes.forget_tried(LANE, but="v2")
    assert _append(lanes, rule=OTHER_CREDENTIALS).lane.tried == {"v2"}


def test_during_a_streak_what_was_tried_is_not_forgotten(lanes: LaneStore) -> None:
    _refused(lanes, 1)
    lanes.forget_tried(LANE, but="v2")
    assert _append(lanes).lane.tried == {"v1"}


def test_a_blocked_lane_gives_no_slot_to_anybody(lanes: LaneStore) -> None:
    _restart(lanes)
    lanes.block(LANE, code="557")
    for rule in (RULE, OTHER_CREDENTIALS):
        assert _append(lanes, rule=rule).lane.blocked_by == "557"
        assert not _restart(lanes, NOW + 10 * STEP, rule=rule).moved


def test_a_lane_can_be_blocked_before_its_first_slot(lanes: LaneStore) -> None:
    lanes.block(LANE, code="555")
    assert not _restart(lanes).moved


def test_the_store_and_the_rule_agree_on_when_the_circuit_is_closed(lanes: LaneStore) -> None:
    now = NOW
    _refused(lanes, 0)
    for _ in range(RULE.ceiling + 1):
        for rule in (RULE, OTHER_CREDENTIALS, OTHER_CREDENTIALS, RULE):
            now += 10 * STEP
            before = _append(lanes, now, latest=now, rule=rule).lane
            assert _restart(lanes, now, rule=rule).moved is (rule.room(before) > 0)
        lanes.add_refusal(LANE, worker="mine", version="gone")


def test_a_new_lane_gives_a_block_and_a_place_for_each_who_shares_it(lanes: LaneStore) -> None:
    move = lanes.restart(LANE, _slots(count=5), rule=RULE, permit=_of("mine", "yours"))
    assert move.moved
    assert move.lane.cursor_us == NOW + 5 * STEP
    assert move.lane.permits == {"mine": NOW + LEASE, "yours": NOW + LEASE}


def test_a_block_is_appended_whole_or_not_at_all(lanes: LaneStore) -> None:
    both = _of("mine", "yours")
    cursor = _restart(lanes, permit=both).lane.cursor_us
    for latest, moved in ((cursor + 4 * STEP - 1, False), (cursor + 4 * STEP, True)):
        assert lanes.append(LANE, _slots(latest=latest, count=5), rule=RULE, permit=both).moved is moved


def test_permits_are_renewed_and_no_more_are_given_than_there_is_room(lanes: LaneStore) -> None:
    _restart(lanes)
    assert _append(lanes, permit=_of("yours")).moved
    refused = _append(lanes, permit=_of("theirs"))
    assert not refused.moved
    assert refused.lane.permits == {"mine": NOW + LEASE, "yours": NOW + LEASE}
    assert not _restart(lanes, NOW + 10 * STEP, permit=_of("theirs")).moved
    renewed = _append(lanes, permit=_of("mine", until=NOW + 2 * LEASE))
    assert renewed.lane.permits == {"mine": NOW + 2 * LEASE, "yours": NOW + LEASE}


def test_a_permit_takes_the_place_of_expired_ones_that_are_as_they_were_seen(lanes: LaneStore) -> None:
    _restart(lanes)
    _append(lanes, permit=_of("yours", until=NOW + 1))
    for seen in ({"yours": NOW}, {"yours": NOW + 1, "nobody": 1}):
        assert not _append(lanes, permit=_of("theirs", expired=seen)).moved
    assert _append(lanes, permit=_of("theirs", expired={"yours": NOW + 1})).moved
    assert not _append(lanes, permit=_of("others", expired={"yours": NOW + 1})).moved
    both = {"mine": NOW + LEASE, "theirs": NOW + LEASE}
    assert _append(lanes, permit=_of("yours", expired=both)).lane.permits == {"yours": NOW + LEASE}


def test_a_limit_that_was_lowered_counts_for_those_who_hold_permits_too(lanes: LaneStore) -> None:
    lower = replace(RULE, in_flight=1)
    _restart(lanes)
    _append(lanes, permit=_of("yours"))
    assert not _append(lanes, rule=lower).moved
    assert _append(lanes, rule=lower, permit=_of("mine", expired={"yours": NOW + LEASE})).moved
    assert _append(lanes, rule=lower).moved


def test_a_refusal_gives_back_the_permit_of_its_worker_only(lanes: LaneStore) -> None:
    _restart(lanes)
    _append(lanes, permit=_of("yours"))
    assert lanes.add_refusal(LANE, worker="yours", version="gone").permits == {"mine": NOW + LEASE}
    assert lanes.add_refusal(LANE, worker="nobody", version="gone").permits == {"mine": NOW + LEASE}
    assert lanes.add_refusal(LANE, worker="mine", version="gone").permits == {}
    assert _append(lanes, rule=OTHER_CREDENTIALS).moved


def test_a_permit_that_was_given_back_makes_room(lanes: LaneStore) -> None:
    lanes.give_back(LANE, workers=["mine"])
    _restart(lanes)
    _append(lanes, permit=_of("yours"))
    lanes.give_back(LANE, workers=["nobody"])
    assert not _append(lanes, permit=_of("theirs")).moved
    lanes.give_back(LANE, workers=["mine"])
    assert _append(lanes, permit=_of("theirs")).lane.permits == {"yours": NOW + LEASE, "theirs": NOW + LEASE}


def test_while_the_circuit_is_open_there_is_room_for_one(lanes: LaneStore) -> None:
    _restart(lanes)
    _append(lanes, permit=_of("yours"))
    for _ in range(RULE.limit):
        lanes.add_refusal(LANE, worker="yours", version="gone")
    assert not _append(lanes, rule=OTHER_CREDENTIALS, permit=_of("yours")).moved
    assert _append(lanes, rule=OTHER_CREDENTIALS).moved


def test_a_lane_from_before_there_were_permits_is_taken_on(
    dynamodb_lanes: DynamoDbLaneStore, aws: Aws, limits_table_name: str
) -> None:
    _restart(dynamodb_lanes)
    aws.dynamodb.update_item(
        TableName=limits_table_name, Key={"pk": {"S": f"LANE#{LANE}"}}, UpdateExpression="REMOVE permits, refusals"
    )
    assert dynamodb_lanes.add_refusal(LANE, worker="mine", version="gone").streak == 1
    assert _append(dynamodb_lanes).lane.permits == {"mine": NOW + LEASE}
    assert not _append(dynamodb_lanes, rule=replace(RULE, in_flight=1), permit=_of("yours")).moved


def test_of_many_threads_only_as_many_get_permits_as_there_is_room_for(dynamodb_lanes: DynamoDbLaneStore) -> None:
    def reserve(worker: int) -> bool:
        mine = _of(str(worker))
        return _restart(dynamodb_lanes, permit=mine).moved or _append(dynamodb_lanes, permit=mine).moved

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(reserve, range(16))) == RULE.in_flight


def test_threads_get_slots_that_are_unique_and_a_step_apart(dynamodb_lanes: DynamoDbLaneStore) -> None:
    """Half of the workers' clocks are an hour ahead. (I11)"""

    def reserve(worker: int) -> list[int]:
        now = NOW + (worker % 2) * 3_600_000_000
        moves = [_restart(dynamodb_lanes, now), *(_append(dynamodb_lanes, now, latest=10 * NOW) for _ in range(6))]
        return [move.lane.cursor_us - STEP for move in moves if move.moved]

    with ThreadPoolExecutor(16) as pool:
        slots = sorted(slot for mine in pool.map(reserve, range(16)) for slot in mine)
    assert len(slots) >= 16
    assert all(later - earlier >= STEP for earlier, later in pairwise(slots))
