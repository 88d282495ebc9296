"""Simulator of Amazon Transcribe: jobs, limits and results as its documents say, over the emulator's S3 and events."""

from sandbox.simulators.transcribe.config import SimulatorConfig
from sandbox.simulators.transcribe.simulator import TranscribeSimulator

__all__ = ["SimulatorConfig", "TranscribeSimulator"]
