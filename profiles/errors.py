"""Why there is no model to serve; each message says what to do."""


class ProfilesError(Exception):
    """Base of what leaves this package."""


class ModelReferenceError(ProfilesError):
    """What names the model is not understood."""


class ModelNotAvailableError(ProfilesError):
    """The model's files cannot be had, or are not a model."""
