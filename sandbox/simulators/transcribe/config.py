"""Holds the settings of the simulated account that a test or an operator may choose."""

from dataclasses import dataclass

from sandbox.simulators.json_readers import read_seconds, read_switch, read_whole_number
from sandbox.simulators.settings import Settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The account's quotas and the speed of the service. Names ending in `_s` are seconds."""

    job_s: float = setting(read_seconds, default=1.0)
    """The time for which a job runs."""
    concurrent_jobs: int = setting(read_whole_number, default=100)
    """The number of running jobs at which the next Start gets a LimitExceededException."""
    starts_per_second: int = setting(read_whole_number, default=25)
    """The Starts in one second beyond which the next one gets a ThrottlingException."""
    gets_per_second: int = setting(read_whole_number, default=30)
    emits_events: bool = setting(read_switch, default=True)
    """With False no event ever comes."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
