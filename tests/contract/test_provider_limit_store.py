"""What every ProviderLimitStore does: it moves a next_slot that only grows, and only while the circuit is closed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.ports.provider_limits import ProviderLimitStore
from switchboard.storage.limits.provider_limits import DynamoDbProviderLimitStore
from tests.contract.conftest import Aws

KEY = "mediasms#203.0.113.1"
STEP = 13_125
NOW = 1_800_000_000_000_000
RULE = CircuitRule(version="v1", open_after_401s=3, max_consecutive_401s=8, in_flight=2)
OTHER_CREDENTIALS = CircuitRule(version="v2", open_after_401s=3, max_consecutive_401s=8, in_flight=2)
LEASE = 30_000_000
MINE = Permit(workers=("mine",), until_us=NOW + LEASE)


def _slots(now: int = NOW, latest: int = NOW + 1_000_000, *, count: int = 1) -> SlotRequest:
    return SlotRequest(interval_us=STEP, now_us=now, latest_us=latest, count=count)


def _reserve_now(
    store: ProviderLimitStore, now: int = NOW, *, rule: CircuitRule = RULE, key: str = KEY, permit: Permit = MINE
) -> LimitUpdate:
    return store.reserve_now(key, _slots(now), rule=rule, permit=permit)


def _reserve_next(
    store: ProviderLimitStore,
    now: int = NOW,
    *,
    latest: int = NOW + 1_000_000,
    rule: CircuitRule = RULE,
    key: str = KEY,
    permit: Permit = MINE,
) -> LimitUpdate:
    return store.reserve_next(key, _slots(now, latest), rule=rule, permit=permit)


def _of(*workers: str, until: int = NOW + LEASE, expired: Mapping[str, int] | None = None) -> Permit:
    return Permit(workers=workers, until_us=until, expired=expired or {})


def _refused(store: ProviderLimitStore, times: int, *, rule: CircuitRule = RULE) -> None:
    """A state in use, whose last `times` requests were refused for the credentials of `rule`."""
    assert _reserve_now(store, rule=rule).granted
    for _ in range(times):
        store.record_401(KEY, worker="mine", version="gone")


def test_a_new_lane_begins_now(store: ProviderLimitStore) -> None:
    move = _reserve_now(store)
    assert move == LimitUpdate(
        granted=True,
        state=ProviderLimitState(
            next_slot_us=NOW + STEP, probed_versions=frozenset({"v1"}), permits={"mine": NOW + LEASE}
        ),
    )


def test_nothing_is_appended_to_a_new_lane(store: ProviderLimitStore) -> None:
    assert _reserve_next(store) == LimitUpdate(granted=False, state=ProviderLimitState())


def test_a_busy_lane_goes_on_where_it_is(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    move = _reserve_next(store, NOW + 1)
    assert move.granted
    assert move.state.next_slot_us == NOW + 2 * STEP


def test_a_busy_lane_does_not_begin_anew(store: ProviderLimitStore) -> None:
    next_slot = _reserve_now(store).state.next_slot_us
    for now in (NOW, next_slot):
        move = _reserve_now(store, now)
        assert not move.granted
        assert move.state.next_slot_us == next_slot


def test_an_idle_lane_begins_anew_and_is_not_appended_to(store: ProviderLimitStore) -> None:
    next_slot = _reserve_now(store).state.next_slot_us
    assert not _reserve_next(store, next_slot + 1).granted
    assert _reserve_now(store, next_slot + 1).state.next_slot_us == next_slot + 1 + STEP


def test_a_slot_is_given_up_to_the_latest_that_is_asked_for(store: ProviderLimitStore) -> None:
    next_slot = _reserve_now(store).state.next_slot_us
    assert not _reserve_next(store, latest=next_slot - 1).granted
    assert _reserve_next(store, latest=next_slot).granted


def test_lanes_do_not_know_of_each_other(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    store.block(KEY, code="555")
    assert _reserve_now(store, key="mediasms#203.0.113.2").state.next_slot_us == NOW + STEP


def test_refusals_are_counted_and_open_the_circuit_at_the_limit(store: ProviderLimitStore) -> None:
    _refused(store, RULE.open_after_401s - 1)
    assert _reserve_next(store).granted
    assert store.record_401(KEY, worker="mine", version="gone").consecutive_401s == RULE.open_after_401s
    move = _reserve_next(store)
    assert not move.granted
    assert move.state.consecutive_401s == RULE.open_after_401s
    assert not _reserve_now(store, NOW + 10 * STEP).granted


def test_other_credentials_get_one_slot_while_the_circuit_is_open(store: ProviderLimitStore) -> None:
    _refused(store, RULE.open_after_401s)
    assert _reserve_next(store, rule=OTHER_CREDENTIALS).granted
    assert not _reserve_next(store, rule=OTHER_CREDENTIALS).granted
    assert not _reserve_now(store, NOW + 10 * STEP, rule=OTHER_CREDENTIALS).granted


def test_no_credentials_get_a_slot_at_the_ceiling(store: ProviderLimitStore) -> None:
    _refused(store, RULE.max_consecutive_401s)
    assert not _reserve_next(store, rule=OTHER_CREDENTIALS).granted
    assert not _reserve_now(store, NOW + 10 * STEP, rule=OTHER_CREDENTIALS).granted


def test_a_streak_that_ended_closes_the_circuit(store: ProviderLimitStore) -> None:
    _refused(store, RULE.open_after_401s)
    store.reset_401s(KEY, seen=RULE.open_after_401s, versions=["gone"])
    move = _reserve_next(store)
    assert move.granted
    assert move.state.consecutive_401s == 0


def test_the_second_streak_of_a_length_is_not_the_first(store: ProviderLimitStore) -> None:
    _refused(store, 1)
    store.reset_401s(KEY, seen=1, versions=["gone"])
    store.record_401(KEY, worker="mine", version="gone")
    store.reset_401s(KEY, seen=1, versions=["gone"])
    assert _reserve_next(store).state.consecutive_401s == 1


@pytest.mark.parametrize("seen", [1, 3])
def test_a_streak_that_changed_meanwhile_has_not_ended(store: ProviderLimitStore, seen: int) -> None:
    _refused(store, 2)
    store.reset_401s(KEY, seen=seen, versions=["gone"])
    assert _reserve_next(store).state.consecutive_401s == 2


def test_ending_a_streak_that_is_not_there_does_nothing(store: ProviderLimitStore) -> None:
    store.reset_401s(KEY, seen=1, versions=["gone"])
    assert _reserve_now(store).granted


def test_what_was_tried_is_forgotten_but_for_one_version_while_there_is_no_streak(store: ProviderLimitStore) -> None:
    store.forget_probed(KEY, but="v2")
    _reserve_now(store)
    _reserve_next(store, rule=OTHER_CREDENTIALS)
    store.forget_probed(KEY, but="v2")
    assert _reserve_next(store, rule=OTHER_CREDENTIALS).state.probed_versions == {"v2"}


def test_during_a_streak_what_was_tried_is_not_forgotten(store: ProviderLimitStore) -> None:
    _refused(store, 1)
    store.forget_probed(KEY, but="v2")
    assert _reserve_next(store).state.probed_versions == {"v1"}


def test_a_blocked_lane_gives_no_slot_to_anybody(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    store.block(KEY, code="557")
    for rule in (RULE, OTHER_CREDENTIALS):
        assert _reserve_next(store, rule=rule).state.blocked_by == "557"
        assert not _reserve_now(store, NOW + 10 * STEP, rule=rule).granted


def test_a_lane_can_be_blocked_before_its_first_slot(store: ProviderLimitStore) -> None:
    store.block(KEY, code="555")
    assert not _reserve_now(store).granted


def test_the_store_and_the_rule_agree_on_when_the_circuit_is_closed(store: ProviderLimitStore) -> None:
    now = NOW
    _refused(store, 0)
    for _ in range(RULE.max_consecutive_401s + 1):
        for rule in (RULE, OTHER_CREDENTIALS, OTHER_CREDENTIALS, RULE):
            now += 10 * STEP
            before = _reserve_next(store, now, latest=now, rule=rule).state
            assert _reserve_now(store, now, rule=rule).granted is (rule.max_permits(before) > 0)
        store.record_401(KEY, worker="mine", version="gone")


def test_a_new_lane_gives_a_block_and_a_place_for_each_who_shares_it(store: ProviderLimitStore) -> None:
    move = store.reserve_now(KEY, _slots(count=5), rule=RULE, permit=_of("mine", "yours"))
    assert move.granted
    assert move.state.next_slot_us == NOW + 5 * STEP
    assert move.state.permits == {"mine": NOW + LEASE, "yours": NOW + LEASE}


def test_a_block_is_appended_whole_or_not_at_all(store: ProviderLimitStore) -> None:
    both = _of("mine", "yours")
    next_slot = _reserve_now(store, permit=both).state.next_slot_us
    for latest, moved in ((next_slot + 4 * STEP - 1, False), (next_slot + 4 * STEP, True)):
        assert store.reserve_next(KEY, _slots(latest=latest, count=5), rule=RULE, permit=both).granted is moved


def test_permits_are_renewed_and_no_more_are_given_than_there_is_room(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    assert _reserve_next(store, permit=_of("yours")).granted
    refused = _reserve_next(store, permit=_of("theirs"))
    assert not refused.granted
    assert refused.state.permits == {"mine": NOW + LEASE, "yours": NOW + LEASE}
    assert not _reserve_now(store, NOW + 10 * STEP, permit=_of("theirs")).granted
    renewed = _reserve_next(store, permit=_of("mine", until=NOW + 2 * LEASE))
    assert renewed.state.permits == {"mine": NOW + 2 * LEASE, "yours": NOW + LEASE}


def test_a_permit_takes_the_place_of_expired_ones_that_are_as_they_were_seen(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_of("yours", until=NOW + 1))
    for seen in ({"yours": NOW}, {"yours": NOW + 1, "nobody": 1}):
        assert not _reserve_next(store, permit=_of("theirs", expired=seen)).granted
    assert _reserve_next(store, permit=_of("theirs", expired={"yours": NOW + 1})).granted
    assert not _reserve_next(store, permit=_of("others", expired={"yours": NOW + 1})).granted
    both = {"mine": NOW + LEASE, "theirs": NOW + LEASE}
    assert _reserve_next(store, permit=_of("yours", expired=both)).state.permits == {"yours": NOW + LEASE}


def test_a_limit_that_was_lowered_counts_for_those_who_hold_permits_too(store: ProviderLimitStore) -> None:
    lower = replace(RULE, in_flight=1)
    _reserve_now(store)
    _reserve_next(store, permit=_of("yours"))
    assert not _reserve_next(store, rule=lower).granted
    assert _reserve_next(store, rule=lower, permit=_of("mine", expired={"yours": NOW + LEASE})).granted
    assert _reserve_next(store, rule=lower).granted


def test_a_refusal_gives_back_the_permit_of_its_worker_only(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_of("yours"))
    assert store.record_401(KEY, worker="yours", version="gone").permits == {"mine": NOW + LEASE}
    assert store.record_401(KEY, worker="nobody", version="gone").permits == {"mine": NOW + LEASE}
    assert store.record_401(KEY, worker="mine", version="gone").permits == {}
    assert _reserve_next(store, rule=OTHER_CREDENTIALS).granted


def test_a_permit_that_was_given_back_makes_room(store: ProviderLimitStore) -> None:
    store.return_permits(KEY, workers=["mine"])
    _reserve_now(store)
    _reserve_next(store, permit=_of("yours"))
    store.return_permits(KEY, workers=["nobody"])
    assert not _reserve_next(store, permit=_of("theirs")).granted
    store.return_permits(KEY, workers=["mine"])
    assert _reserve_next(store, permit=_of("theirs")).state.permits == {"yours": NOW + LEASE, "theirs": NOW + LEASE}


def test_while_the_circuit_is_open_there_is_room_for_one(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_of("yours"))
    for _ in range(RULE.open_after_401s):
        store.record_401(KEY, worker="yours", version="gone")
    assert not _reserve_next(store, rule=OTHER_CREDENTIALS, permit=_of("yours")).granted
    assert _reserve_next(store, rule=OTHER_CREDENTIALS).granted


def test_a_lane_from_before_there_were_permits_is_taken_on(
    dynamodb_limits: DynamoDbProviderLimitStore, aws: Aws, limits_table_name: str
) -> None:
    _reserve_now(dynamodb_limits)
    aws.dynamodb.update_item(
        TableName=limits_table_name,
        Key={"pk": {"S": f"PROVIDER_LIMIT#{KEY}"}},
        UpdateExpression="REMOVE permits, total_401s",
    )
    assert dynamodb_limits.record_401(KEY, worker="mine", version="gone").consecutive_401s == 1
    assert _reserve_next(dynamodb_limits).state.permits == {"mine": NOW + LEASE}
    assert not _reserve_next(dynamodb_limits, rule=replace(RULE, in_flight=1), permit=_of("yours")).granted


def test_of_many_threads_only_as_many_get_permits_as_there_is_room_for(
    dynamodb_limits: DynamoDbProviderLimitStore,
) -> None:
    def reserve(worker: int) -> bool:
        mine = _of(str(worker))
        return _reserve_now(dynamodb_limits, permit=mine).granted or _reserve_next(dynamodb_limits, permit=mine).granted

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(reserve, range(16))) == RULE.in_flight


def test_threads_get_slots_that_are_unique_and_a_step_apart(dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    """Half of the workers' clocks are an hour ahead. (I11)"""

    def reserve(worker: int) -> list[int]:
        now = NOW + (worker % 2) * 3_600_000_000
        moves = [
            _reserve_now(dynamodb_limits, now),
            *(_reserve_next(dynamodb_limits, now, latest=10 * NOW) for _ in range(6)),
        ]
        return [move.state.next_slot_us - STEP for move in moves if move.granted]

    with ThreadPoolExecutor(16) as pool:
        slots = sorted(slot for mine in pool.map(reserve, range(16)) for slot in mine)
    assert len(slots) >= 16
    assert all(later - earlier >= STEP for earlier, later in pairwise(slots))
