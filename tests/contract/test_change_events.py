"""Test I34 over the real stores: the last state of each item is on the bus, no sequence falls, one id has one view."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from switchboard.domain.recording.facts import Channel, FetchAttempt, ReadyFact
from switchboard.edge import observability
from switchboard.storage.recording.items import recording_pk
from tests.contract.conftest import Aws
from tests.depth import at_depth
from tests.fakes import START
from tests.harness.changes import (
    DESCRIBE,
    ChangesWorld,
    Describe,
    DropsFailures,
    Faults,
    ForgetsChannels,
    HandsOverOnce,
    describe_by_number_of_reads,
    describe_with_passing_facts,
    publish_each_record,
    writes,
)


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability.metrics, "namespace", "Switchboard")


def run(aws: Aws, seed: int, *, items: int = 2, kills: int = 20, refusals: float = 0.1, **world: Any) -> list[str]:
    """Write in bursts while the publisher is killed and refused, let everything come through, and return breaches."""
    random = Random(seed)
    changes = ChangesWorld(aws, Faults(random, refusals=refusals), **world)
    order = writes(changes, random, items=items)
    while order:
        for write in order[: (burst := random.randint(1, 12))]:
            write()
        del order[:burst]
        if kills:
            kills -= 1
            changes.faults.kill_at = changes.faults.steps + random.randint(0, 8)
        for _ in range(random.randint(0, 6)):
            changes.poll()
        if random.random() < 0.5:
            changes.repair()
    changes.drain()
    return changes.breaches()


def test_a_publisher_killed_at_every_step_loses_nothing(aws: Aws) -> None:
    step, killed = 0, True
    while killed:
        changes = ChangesWorld(aws, faults := Faults(Random(0)), batch=8)
        for write in writes(changes, Random(1), items=1):
            write()
        faults.kill_at = step
        while changes.poll():
            pass
        killed = faults.kill_at is None
        changes.drain()
        assert changes.breaches() == [], step
        step += at_depth(usual=23, proof=2)
    assert step > 70


@pytest.mark.parametrize("seed", range(at_depth(usual=2, proof=4)))
def test_bursts_kills_and_refusals_lose_nothing(aws: Aws, seed: int) -> None:
    assert run(aws, seed) == []


@pytest.mark.parametrize(
    ("describe", "breaches"),
    [
        pytest.param(DESCRIBE, [], id="visible facts only"),
        pytest.param(describe_with_passing_facts, ["two views of recording_r1_1_0"], id="attempts too"),
    ],
)
def test_a_repair_shows_no_fact_that_no_sequence_counts(aws: Aws, describe: Describe, breaches: list[str]) -> None:
    changes = ChangesWorld(aws, Faults(Random(0)), describe=describe)
    ready = ReadyFact(tel="09000000001", date="d", called_at=START, at=START)
    recording = changes.recordings.announce("r1", ready, due=START)
    changes.poll()
    changes.recordings.begin(recording, FetchAttempt(id="a", channel=Channel.LEFT, at=START), due=START)
    changes.repairs.put([recording_pk("r1")])

    changes.drain()

    assert len(changes.bus.events) == 2
    assert [breach for breach in changes.breaches() if "views" in breach] == breaches


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param({"acknowledge_first": True}, id="acknowledges before it publishes"),
        pytest.param({"publisher": DropsFailures}, id="drops what failed"),
        pytest.param({"changed_items": ForgetsChannels}, id="passes over the channels of a verification"),
        pytest.param({"publisher": HandsOverOnce}, id="forgets webhooks that were not notified"),
        pytest.param({"publish": publish_each_record}, id="publishes each record of a batch"),
        pytest.param({"describe": describe_by_number_of_reads()}, id="derives the view at the time of reading"),
    ],
)
def test_a_wrong_publisher_is_noticed(aws: Aws, mutant: dict[str, Any]) -> None:
    assert any(run(aws, seed, items=1, refusals=refusals, **mutant) for seed in range(6) for refusals in (0.4, 0))
