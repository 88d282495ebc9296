"""Holds the control requests: JSON from this machine that scripts the simulator and reads what it received."""

from collections import Counter
from dataclasses import asdict
from typing import Final

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
from sandbox.simulators.transcribe.faults import read_fault
from sandbox.simulators.transcribe.provider import Provider


def _get_jobs(provider: Provider, request: ControlRequest) -> Json:
    jobs = [job for job in provider.jobs if request.query.get("name", "") in job.name]
    return {"count": len(jobs), "by_audio": provider.count_jobs(), "items": [job.to_json() for job in jobs]}


def _get_requests(provider: Provider, request: ControlRequest) -> Json:
    records = [record for record in provider.requests if request.query.get("job", "") in record.job]
    return {
        "count": len(records),
        "codes": dict(Counter(record.code or str(record.status) for record in records)),
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
