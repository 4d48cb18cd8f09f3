"""Where runs are trained: one after the other here, or side by side in worker processes."""

from segstudy.training.executors.base import Executor
from segstudy.training.executors.processes import processes
from segstudy.training.executors.serial import serial

EXECUTORS: dict[str, Executor] = {"serial": serial, "processes": processes}
