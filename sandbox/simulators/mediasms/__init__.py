"""MediaSMS on this machine: a server that does what its document says and, where that is silent, as configured."""

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.phone_text import what_the_phone_shows
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator

__all__ = ["MediaSmsSimulator", "SimulatorConfig", "what_the_phone_shows"]
