"""Simulator of BIZTEL: recordings and call actions as the document says and, where it is silent, as configured."""

from sandbox.simulators.biztel.config import SimulatorConfig
from sandbox.simulators.biztel.error_bodies import Channel
from sandbox.simulators.biztel.recorded_calls import CallSpec
from sandbox.simulators.biztel.simulator import BiztelSimulator

__all__ = ["BiztelSimulator", "CallSpec", "Channel", "SimulatorConfig"]
