"""Machines with NVIDIA GPUs, described: a stub of the driver's library shows them to real code.

`machines.py` has the machines as data, `stub.c` answers NVML's calls from one of them, `library.py`
compiles it once and makes the environment in which a process sees that machine.
"""

from tests.support.nvml.library import detected, environment_for, usage_of
from tests.support.nvml.machines import MACHINES, Card, Machine, Process, Slice

__all__ = [
    "MACHINES",
    "Card",
    "Machine",
    "Process",
    "Slice",
    "detected",
    "environment_for",
    "usage_of",
]
