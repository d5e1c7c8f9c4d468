"""Why there is no model to serve; each message says what to do."""

from enum import Enum, auto


class ProfilesError(Exception):
    """Base of what leaves this package."""


class ModelReferenceError(ProfilesError):
    """What names the model is not understood."""


class ModelNotAvailableError(ProfilesError):
    """The model's files cannot be had, or are not a model."""


class Cause(Enum):
    """Why a source does not give its files: decides what else may be tried."""

    MISSING = auto()
    GATED = auto()
    EXPIRED = auto()
    REFUSED = auto()
    UNREACHABLE = auto()
    BROKEN = auto()


class SourceError(ModelNotAvailableError):
    """The source does not give the model's files; a copy in the store may still do."""

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(message)
        self.cause = cause


class SelectionError(ProfilesError):
    """No profile can be served, or not the one that was asked for (exit code 3)."""


class NoProfileFitsError(SelectionError):
    """This machine cannot serve the model; the message has the nearest ways out."""


class UnknownProfileError(SelectionError):
    """What names a profile names none, or several."""


class UnexpectedProfileError(SelectionError):
    """The choice is not the one that UNIGATE_EXPECT_PROFILE asserts."""


class CatalogueError(ProfilesError):
    """A file of the catalogue is wrong; the message names file and key."""


class ManifestError(ProfilesError):
    """A manifest cannot be read; the message names file and key."""
