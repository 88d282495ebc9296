"""The contract of every ProviderLimitStore: `next_slot_us` only grows, and only if the circuit allows a request."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from switchboard.domain.rate_limits import CircuitRule, LimitUpdate, Permit, ProviderLimitState, SlotRequest
from switchboard.ports.provider_limits import ProviderLimitStore
from switchboard.storage.limits import DynamoDbProviderLimitStore
from tests.contract.conftest import Aws

KEY = "mediasms#203.0.113.1"
INTERVAL_US = 13_125
NOW_US = 1_800_000_000_000_000
RULE = CircuitRule(version="v1", open_after_401s=3, max_consecutive_401s=8, in_flight=2)
NEW_RULE = CircuitRule(version="v2", open_after_401s=3, max_consecutive_401s=8, in_flight=2)
LEASE_US = 30_000_000
PERMIT_A = Permit(workers=("a",), until_us=NOW_US + LEASE_US)


def _request_slots(now_us: int = NOW_US, latest_us: int = NOW_US + 1_000_000, *, count: int = 1) -> SlotRequest:
    return SlotRequest(interval_us=INTERVAL_US, now_us=now_us, latest_us=latest_us, count=count)


def _reserve_now(
    store: ProviderLimitStore,
    now_us: int = NOW_US,
    *,
    rule: CircuitRule = RULE,
    key: str = KEY,
    permit: Permit = PERMIT_A,
) -> LimitUpdate:
    return store.reserve_now(key, _request_slots(now_us), rule=rule, permit=permit)


def _reserve_next(
    store: ProviderLimitStore,
    now_us: int = NOW_US,
    *,
    latest_us: int = NOW_US + 1_000_000,
    rule: CircuitRule = RULE,
    key: str = KEY,
    permit: Permit = PERMIT_A,
) -> LimitUpdate:
    return store.reserve_next(key, _request_slots(now_us, latest_us), rule=rule, permit=permit)


def _build_permit(*workers: str, until_us: int = NOW_US + LEASE_US, expired: Mapping[str, int] | None = None) -> Permit:
    return Permit(workers=workers, until_us=until_us, expired=expired or {})


def _record_401s(store: ProviderLimitStore, count: int) -> None:
    """Reserve a slot for worker `a`, and record `count` 401s of it."""
    assert _reserve_now(store).granted
    for _ in range(count):
        store.record_401(KEY, worker="a", version="rejected")


def test_a_new_state_begins_now(store: ProviderLimitStore) -> None:
    update = _reserve_now(store)
    assert update == LimitUpdate(
        granted=True,
        state=ProviderLimitState(
            next_slot_us=NOW_US + INTERVAL_US,
            probed_versions=frozenset({"v1"}),
            permits={"a": NOW_US + LEASE_US},
        ),
    )


def test_a_look_costs_no_write_and_shows_the_state(store: ProviderLimitStore) -> None:
    assert store.read(KEY) == ProviderLimitState()
    assert store.read(KEY) == ProviderLimitState()
    state = _reserve_now(store).state
    assert store.read(KEY) == state


def test_reserve_next_refuses_a_new_state(store: ProviderLimitStore) -> None:
    assert _reserve_next(store) == LimitUpdate(granted=False, state=ProviderLimitState())


def test_reserve_next_goes_on_from_the_next_slot_of_a_busy_state(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    update = _reserve_next(store, NOW_US + 1)
    assert update.granted
    assert update.state.next_slot_us == NOW_US + 2 * INTERVAL_US


def test_reserve_now_refuses_a_busy_state(store: ProviderLimitStore) -> None:
    next_slot_us = _reserve_now(store).state.next_slot_us
    for now_us in (NOW_US, next_slot_us):
        update = _reserve_now(store, now_us)
        assert not update.granted
        assert update.state.next_slot_us == next_slot_us


def test_an_idle_state_begins_now_and_not_at_its_next_slot(store: ProviderLimitStore) -> None:
    next_slot_us = _reserve_now(store).state.next_slot_us
    assert not _reserve_next(store, next_slot_us + 1).granted
    assert _reserve_now(store, next_slot_us + 1).state.next_slot_us == next_slot_us + 1 + INTERVAL_US


def test_a_slot_is_granted_up_to_the_latest_time_of_the_request(store: ProviderLimitStore) -> None:
    next_slot_us = _reserve_now(store).state.next_slot_us
    assert not _reserve_next(store, latest_us=next_slot_us - 1).granted
    assert _reserve_next(store, latest_us=next_slot_us).granted


def test_states_of_different_keys_are_independent(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    store.block(KEY, code="555")
    assert _reserve_now(store, key="mediasms#203.0.113.2").state.next_slot_us == NOW_US + INTERVAL_US


def test_401s_open_the_circuit_at_the_limit(store: ProviderLimitStore) -> None:
    _record_401s(store, RULE.open_after_401s - 1)
    assert _reserve_next(store).granted
    assert store.record_401(KEY, worker="a", version="rejected").consecutive_401s == RULE.open_after_401s
    update = _reserve_next(store)
    assert not update.granted
    assert update.state.consecutive_401s == RULE.open_after_401s
    assert not _reserve_now(store, NOW_US + 10 * INTERVAL_US).granted


def test_new_credentials_get_one_half_open_probe(store: ProviderLimitStore) -> None:
    _record_401s(store, RULE.open_after_401s)
    assert _reserve_next(store, rule=NEW_RULE).granted
    assert not _reserve_next(store, rule=NEW_RULE).granted
    assert not _reserve_now(store, NOW_US + 10 * INTERVAL_US, rule=NEW_RULE).granted


def test_no_credentials_get_a_slot_at_the_maximum_of_401s(store: ProviderLimitStore) -> None:
    _record_401s(store, RULE.max_consecutive_401s)
    assert not _reserve_next(store, rule=NEW_RULE).granted
    assert not _reserve_now(store, NOW_US + 10 * INTERVAL_US, rule=NEW_RULE).granted


def test_a_reset_of_the_401s_closes_the_circuit(store: ProviderLimitStore) -> None:
    _record_401s(store, RULE.open_after_401s)
    store.reset_401s(KEY, expected_total_401s=RULE.open_after_401s, versions=["rejected"])
    update = _reserve_next(store)
    assert update.granted
    assert update.state.consecutive_401s == 0


def test_a_reset_after_a_new_401_does_nothing(store: ProviderLimitStore) -> None:
    _record_401s(store, 1)
    store.reset_401s(KEY, expected_total_401s=1, versions=["rejected"])
    store.record_401(KEY, worker="a", version="rejected")
    store.reset_401s(KEY, expected_total_401s=1, versions=["rejected"])
    assert _reserve_next(store).state.consecutive_401s == 1


@pytest.mark.parametrize("expected_total", [1, 3], ids=["older total", "unknown total"])
def test_a_reset_with_another_total_does_nothing(store: ProviderLimitStore, expected_total: int) -> None:
    _record_401s(store, 2)
    store.reset_401s(KEY, expected_total_401s=expected_total, versions=["rejected"])
    assert _reserve_next(store).state.consecutive_401s == 2


def test_a_reset_without_401s_does_nothing(store: ProviderLimitStore) -> None:
    store.reset_401s(KEY, expected_total_401s=1, versions=["rejected"])
    assert _reserve_now(store).granted


def test_without_401s_all_probed_versions_but_one_are_forgotten(store: ProviderLimitStore) -> None:
    store.forget_probed(KEY, keep="v2")
    _reserve_now(store)
    _reserve_next(store, rule=NEW_RULE)
    store.forget_probed(KEY, keep="v2")
    assert _reserve_next(store, rule=NEW_RULE).state.probed_versions == {"v2"}


def test_after_a_401_no_probed_version_is_forgotten(store: ProviderLimitStore) -> None:
    _record_401s(store, 1)
    store.forget_probed(KEY, keep="v2")
    assert _reserve_next(store).state.probed_versions == {"v1"}


def test_a_blocked_address_gets_no_slot_with_any_credentials(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    store.block(KEY, code="557")
    for rule in (RULE, NEW_RULE):
        assert _reserve_next(store, rule=rule).state.blocked_by == "557"
        assert not _reserve_now(store, NOW_US + 10 * INTERVAL_US, rule=rule).granted


def test_an_address_can_be_blocked_before_its_first_slot(store: ProviderLimitStore) -> None:
    store.block(KEY, code="555")
    assert not _reserve_now(store).granted


def test_the_store_and_the_rule_agree_on_the_circuit(store: ProviderLimitStore) -> None:
    now_us = NOW_US
    _record_401s(store, 0)
    for _ in range(RULE.max_consecutive_401s + 1):
        for rule in (RULE, NEW_RULE, NEW_RULE, RULE):
            now_us += 10 * INTERVAL_US
            before = _reserve_next(store, now_us, latest_us=now_us, rule=rule).state
            assert _reserve_now(store, now_us, rule=rule).granted is (rule.max_permits(before) > 0)
        store.record_401(KEY, worker="a", version="rejected")


def test_a_new_state_grants_a_block_and_a_permit_for_each_worker(store: ProviderLimitStore) -> None:
    update = store.reserve_now(KEY, _request_slots(count=5), rule=RULE, permit=_build_permit("a", "b"))
    assert update.granted
    assert update.state.next_slot_us == NOW_US + 5 * INTERVAL_US
    assert update.state.permits == {"a": NOW_US + LEASE_US, "b": NOW_US + LEASE_US}


def test_a_block_is_granted_whole_or_not_at_all(store: ProviderLimitStore) -> None:
    both = _build_permit("a", "b")
    next_slot_us = _reserve_now(store, permit=both).state.next_slot_us
    for latest_us, granted in ((next_slot_us + 4 * INTERVAL_US - 1, False), (next_slot_us + 4 * INTERVAL_US, True)):
        update = store.reserve_next(KEY, _request_slots(latest_us=latest_us, count=5), rule=RULE, permit=both)
        assert update.granted is granted


def test_permits_are_renewed_and_their_number_is_limited(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    assert _reserve_next(store, permit=_build_permit("b")).granted
    refused = _reserve_next(store, permit=_build_permit("c"))
    assert not refused.granted
    assert refused.state.permits == {"a": NOW_US + LEASE_US, "b": NOW_US + LEASE_US}
    assert not _reserve_now(store, NOW_US + 10 * INTERVAL_US, permit=_build_permit("c")).granted
    renewed = _reserve_next(store, permit=_build_permit("a", until_us=NOW_US + 2 * LEASE_US))
    assert renewed.state.permits == {"a": NOW_US + 2 * LEASE_US, "b": NOW_US + LEASE_US}


def test_a_permit_replaces_expired_permits_that_are_unchanged(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_build_permit("b", until_us=NOW_US + 1))
    for expired in ({"b": NOW_US}, {"b": NOW_US + 1, "unknown": 1}):
        assert not _reserve_next(store, permit=_build_permit("c", expired=expired)).granted
    assert _reserve_next(store, permit=_build_permit("c", expired={"b": NOW_US + 1})).granted
    assert not _reserve_next(store, permit=_build_permit("d", expired={"b": NOW_US + 1})).granted
    both = {"a": NOW_US + LEASE_US, "c": NOW_US + LEASE_US}
    assert _reserve_next(store, permit=_build_permit("b", expired=both)).state.permits == {"b": NOW_US + LEASE_US}


def test_a_lower_limit_counts_for_workers_with_permits_too(store: ProviderLimitStore) -> None:
    lower = replace(RULE, in_flight=1)
    _reserve_now(store)
    _reserve_next(store, permit=_build_permit("b"))
    assert not _reserve_next(store, rule=lower).granted
    assert _reserve_next(store, rule=lower, permit=_build_permit("a", expired={"b": NOW_US + LEASE_US})).granted
    assert _reserve_next(store, rule=lower).granted


def test_a_401_returns_the_permit_of_its_worker_only(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_build_permit("b"))
    assert store.record_401(KEY, worker="b", version="rejected").permits == {"a": NOW_US + LEASE_US}
    assert store.record_401(KEY, worker="unknown", version="rejected").permits == {"a": NOW_US + LEASE_US}
    assert store.record_401(KEY, worker="a", version="rejected").permits == {}
    assert _reserve_next(store, rule=NEW_RULE).granted


def test_a_returned_permit_is_free(store: ProviderLimitStore) -> None:
    store.return_permits(KEY, workers=["a"])
    _reserve_now(store)
    _reserve_next(store, permit=_build_permit("b"))
    store.return_permits(KEY, workers=["unknown"])
    assert not _reserve_next(store, permit=_build_permit("c")).granted
    store.return_permits(KEY, workers=["a"])
    assert _reserve_next(store, permit=_build_permit("c")).state.permits == {
        "b": NOW_US + LEASE_US,
        "c": NOW_US + LEASE_US,
    }


def test_a_half_open_circuit_has_one_permit(store: ProviderLimitStore) -> None:
    _reserve_now(store)
    _reserve_next(store, permit=_build_permit("b"))
    for _ in range(RULE.open_after_401s):
        store.record_401(KEY, worker="b", version="rejected")
    assert not _reserve_next(store, rule=NEW_RULE, permit=_build_permit("b")).granted
    assert _reserve_next(store, rule=NEW_RULE).granted


def test_an_item_without_permits_and_total_is_updated(
    dynamodb_limits: DynamoDbProviderLimitStore, aws: Aws, limits_table_name: str
) -> None:
    _reserve_now(dynamodb_limits)
    aws.dynamodb.update_item(
        TableName=limits_table_name,
        Key={"pk": {"S": f"PROVIDER_LIMIT#{KEY}"}},
        UpdateExpression="REMOVE permits, total_401s",
    )
    assert dynamodb_limits.record_401(KEY, worker="a", version="rejected").consecutive_401s == 1
    assert _reserve_next(dynamodb_limits).state.permits == {"a": NOW_US + LEASE_US}
    assert not _reserve_next(dynamodb_limits, rule=replace(RULE, in_flight=1), permit=_build_permit("b")).granted


def test_threads_get_no_more_permits_than_the_limit(
    dynamodb_limits: DynamoDbProviderLimitStore,
) -> None:
    def reserve(worker: int) -> bool:
        permit = _build_permit(str(worker))
        update = _reserve_now(dynamodb_limits, permit=permit)
        return update.granted or _reserve_next(dynamodb_limits, permit=permit).granted

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(reserve, range(16))) == RULE.in_flight


def test_threads_get_slots_an_interval_apart(dynamodb_limits: DynamoDbProviderLimitStore) -> None:
    """Half of the workers' clocks are an hour ahead. (I11)"""

    def reserve(worker: int) -> list[int]:
        now_us = NOW_US + (worker % 2) * 3_600_000_000
        updates = [
            _reserve_now(dynamodb_limits, now_us),
            *(_reserve_next(dynamodb_limits, now_us, latest_us=10 * NOW_US) for _ in range(6)),
        ]
        return [update.state.next_slot_us - INTERVAL_US for update in updates if update.granted]

    with ThreadPoolExecutor(16) as pool:
        slots = sorted(slot for worker_slots in pool.map(reserve, range(16)) for slot in worker_slots)
    assert len(slots) >= 16
    assert all(later - earlier >= INTERVAL_US for earlier, later in pairwise(slots))
