"""BIZTEL on this machine: recordings and call actions as its document says and, where that is silent, as configured."""

from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.simulator import BiztelSimulator

__all__ = ["BiztelSimulator", "CallSpec", "Channel", "SimulatorConfig"]
