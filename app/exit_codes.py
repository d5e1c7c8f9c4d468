"""How the process ends; documented in README.md, and stable, because supervisors act on it."""

from enum import IntEnum

from profiles.errors import ModelNotAvailableError, SelectionError


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


def code_of(error: Exception) -> ExitCode:
    """The exit code of what can go wrong before an engine is started."""
    match error:
        case SelectionError():
            return ExitCode.NO_PROFILE
        case ModelNotAvailableError():
            return ExitCode.MODEL_NOT_AVAILABLE
        case _:
            return ExitCode.BAD_SETTINGS
