"""Simulator of a recogniser behind HTTP, by docs/providers/recognizer_http.md."""

from sandbox.simulators.recognizer_http.config import SimulatorConfig
from sandbox.simulators.recognizer_http.simulator import RecognizerSimulator

__all__ = ["RecognizerSimulator", "SimulatorConfig"]
