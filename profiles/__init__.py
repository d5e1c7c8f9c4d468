"""What to serve and where its files come from. Knows neither HTTP nor vLLM."""

from profiles.download import fetch
from profiles.errors import ModelNotAvailableError, ModelReferenceError
from profiles.model_directory import verify
from profiles.source import HubModel, LocalModel, ModelSource, parse_source

__all__ = [
    "HubModel",
    "LocalModel",
    "ModelNotAvailableError",
    "ModelReferenceError",
    "ModelSource",
    "fetch",
    "parse_source",
    "verify",
]
