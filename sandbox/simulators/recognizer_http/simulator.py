"""Puts the simulator of a recogniser behind HTTP together: start it, point a client at `url`, script it and read it."""

import time
from collections import Counter
from dataclasses import asdict
from types import MappingProxyType
from typing import Final

from sandbox.simulators.account import Log
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.control import (
    ControlRequest,
    Json,
    Routes,
    change_config,
    create_fault_route,
    get_config,
    get_faults,
    reset,
)
from sandbox.simulators.recognizer_http.config import SimulatorConfig
from sandbox.simulators.recognizer_http.faults import read_fault
from sandbox.simulators.recognizer_http.provider import Download, Provider, RequestRecord, download
from sandbox.simulators.recognizer_http.server import Handler
from sandbox.simulators.simulator import Simulator
from sandbox.simulators.transcribe.results import Words

_NONE_KNOWN: Final[Words] = MappingProxyType({})


def _get_jobs(provider: Provider, request: ControlRequest) -> Json:
    names = [job.name for job in provider.jobs if request.query.get("name", "") in job.name]
    return {"count": len(names), "items": names}


def _get_requests(provider: Provider, request: ControlRequest) -> Json:
    records = [record for record in provider.requests if request.query.get("job", "") in record.job]
    return {
        "count": len(records),
        "statuses": dict(Counter(str(record.status) for record in records)),
        "items": [asdict(record) for record in records],
    }


ROUTES: Final[Routes[Provider]] = {
    ("GET", "jobs"): _get_jobs,
    ("GET", "requests"): _get_requests,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): create_fault_route(read_fault),
    ("GET", "config"): get_config,
    ("POST", "config"): change_config,
    ("POST", "reset"): reset,
}


class RecognizerSimulator(Simulator[Provider, RequestRecord]):
    """A recogniser on a local address, from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        download: Download = download,
        known: Words = _NONE_KNOWN,
        clock: Clock = time.time,
        log: Log = lambda _line: None,
    ) -> None:
        """Prepare the simulator.

        Args:
            config: the settings to begin with.
            download: reads the audio behind a link.
            known: the words of channels by their gains. All other audio gets words by its loudness.
            clock: gives Unix seconds.
            log: gets a line for each request, without a word of what was said.
        """
        lock = StateLock(clock)
        provider = Provider(config, download=download, known=known, clock=clock, lock=lock, log=log)
        super().__init__(provider, lock=lock, handler=Handler, routes=ROUTES)
