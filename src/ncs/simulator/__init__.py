"""A simulator of Myriad X and Myriad 2: runs a compiled blob from its own bytes, with numpy and OpenCV only."""

from ncs.simulator.engine import SIMULATED, Simulator
from ncs.simulator.reader import read_program

__all__ = ["SIMULATED", "Simulator", "read_program"]
