"""How the process ends; documented in README.md, and stable, because supervisors act on it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The process's exit status."""

    DRAINED = 0
    BAD_SETTINGS = 2
    NO_PROFILE = 3
    MODEL_NOT_AVAILABLE = 4
    ENGINE_START_FAILED = 5
    ENGINE_DIED = 6
    ENGINE_STALLED = 7
    PORT_UNUSABLE = 8
