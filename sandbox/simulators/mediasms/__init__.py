"""Simulator of MediaSMS: it behaves as the document says and, where the document is silent, as configured."""

from sandbox.simulators.mediasms.config import SimulatorConfig
from sandbox.simulators.mediasms.phone_text import text_on_phone
from sandbox.simulators.mediasms.simulator import MediaSmsSimulator

__all__ = ["MediaSmsSimulator", "SimulatorConfig", "text_on_phone"]
