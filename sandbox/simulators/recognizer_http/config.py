"""Holds the settings of the simulated server that a test or an operator may choose."""

from dataclasses import dataclass, field

from sandbox.simulators.json_readers import read_seconds, read_whole_number
from sandbox.simulators.settings import Settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The token and the speed of the server. Names ending in `_s` are seconds."""

    token: str = field(repr=False)
    job_s: float = setting(read_seconds, default=1.0)
    """The time for which a job runs."""
    concurrent_jobs: int = setting(read_whole_number, default=100)
    """The number of running jobs at which the next one gets 429."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
