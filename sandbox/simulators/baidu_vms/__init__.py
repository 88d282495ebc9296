"""Baidu VMS on this machine: a server that does what its document says and, where that is silent, as configured."""

from sandbox.simulators.baidu_vms.config import SimulatorConfig
from sandbox.simulators.baidu_vms.simulator import BaiduVmsSimulator

__all__ = ["BaiduVmsSimulator", "SimulatorConfig"]
