"""Simulator of Baidu VMS: it behaves as the document says and, where the document is silent, as configured."""

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator

__all__ = ["BaiduVmsSimulator", "SimulatorConfig"]
