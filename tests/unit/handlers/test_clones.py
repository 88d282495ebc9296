"""I40: containers that start from one snapshot share no identity, and so no permit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Final

import pytest

from benchmarks.front import Front
from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from tests.deployment import PASSWORD, USER, deployed
from tests.events import Event, load_event
from tests.translated_template import REGION, ROOT, environment_of, resolve_references

CLONES: Final = 14
PERMITS: Final = 7
ANSWERED_AFTER_S: Final = 3.0
SLOW_NUMBER: Final = "090-0000-0007"
"""A number of the simulator's table whose requests are answered after `slow_answer_s`."""


@pytest.mark.parametrize(
    ("mutant", "keeps_the_limit"),
    [pytest.param((), True, id="named at the first reservation"), pytest.param(("named_at_init",), False, id="mutant")],
)
def test_clones_of_one_snapshot_share_no_permit(mutant: tuple[str, ...], *, keeps_the_limit: bool) -> None:
    config = SimulatorConfig(user=USER, password=PASSWORD, slow_answer_s=ANSWERED_AFTER_S)
    event = load_event("send_sms", "japanese_text", body={"to": SLOW_NUMBER, "text": "こんにちは"})
    with (
        MediaSmsSimulator(config, reports_by_hand=True) as provider,
        Front() as front,
        deployed(MediaSmsBaseUrl=provider.url, MediaSmsJitterMilliseconds="1000") as stack,
    ):
        threading.Thread(target=front.serve_forever, daemon=True).start()
        environment = resolve_references(environment_of("SendSms"), references=stack.references)

        statuses = run_clones("send_sms", event, {**environment, "AWS_ENDPOINT_URL": front.url}, *mutant)

        front.shutdown()

    arrivals = [request.at_s for request in provider.requests]
    in_flight = [sum(at_s - ANSWERED_AFTER_S < other <= at_s for other in arrivals) for at_s in arrivals]
    assert len(statuses) == CLONES
    assert set(statuses) <= {201, 202}
    assert len({message.smsid for message in provider.messages}) == len(arrivals) == statuses.count(201)
    assert len(arrivals) >= PERMITS
    assert (max(in_flight) <= PERMITS) is keeps_the_limit, in_flight


def run_clones(function: str, event: Event, environment: dict[str, str], *mutant: str) -> list[int]:
    """Run a function's clones in processes of their own; return the statuses that they answered."""
    paths = (ROOT / "functions" / function, ROOT / "layers" / "switchboard" / "python")
    process = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "harness" / "clones.py"), str(CLONES), *mutant],
        input=json.dumps(event),
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PATH": os.defpath,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": "clones",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    statuses: list[int] = json.loads(process.stderr.splitlines()[-1])
    return statuses
