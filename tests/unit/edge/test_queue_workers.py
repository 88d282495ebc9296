"""The permits of a queue's containers."""

from __future__ import annotations

import pytest

from switchboard.edge.queue_workers import share_permits


@pytest.mark.parametrize(
    ("most", "permits", "share"),
    [
        pytest.param(3, 6, 3, id="outbox"),
        pytest.param(3, 3, 2, id="bulk: the second container takes the third permit"),
        pytest.param(1, 6, 1, id="few threads"),
        pytest.param(3, 1, 1, id="one permit"),
        pytest.param(3, 0, 1, id="none left"),
    ],
)
def test_two_containers_use_all_permits_of_a_queue(most: int, permits: int, share: int) -> None:
    assert share_permits(most, permits=permits, containers=2) == share
