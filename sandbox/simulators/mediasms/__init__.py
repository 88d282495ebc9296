"""MediaSMS on this machine: a server that does what its document says and, where that is silent, as configured."""

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator
from sandbox.simulators.mediasms.texts import what_the_phone_shows

__all__ = ["MediaSmsSimulator", "SimulatorConfig", "what_the_phone_shows"]
