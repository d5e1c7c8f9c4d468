"""Brings a model's files to this machine and says where they are."""

from pathlib import Path

from profiles.source import HubModel, LocalModel, ModelSource


def fetch(
    source: ModelSource,
    *,
    cache: Path,
    offline: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> Path:
    """The directory with the model's files; blocks for as long as a download takes.

    Raises:
        ModelNotAvailableError: with the cause and what to do about it.
    """
    match source:
        case LocalModel():
            return source.path
        case HubModel():
            # The hub's client takes 0.2 s to import; the first health answer need not wait for it.
            from profiles.hub import fetch_from_hub  # noqa: PLC0415

            return fetch_from_hub(source, cache, offline=offline, endpoint=endpoint, token=token)
