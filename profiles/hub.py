"""Models of a Hugging Face hub, through the hub's own client."""

import errno
from pathlib import Path

import httpx
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from profiles.errors import ModelNotAvailableError
from profiles.source import HubModel

# Weights in formats that vLLM would not choose when there are safetensors, and what never matters.
_UNWANTED = ["*.msgpack", "*.h5", "*.onnx", "*.ot", "onnx/*", "original/*", "metal/*"]


def fetch_from_hub(
    source: HubModel, cache: Path, *, offline: bool, endpoint: str | None, token: str | None
) -> Path:
    """The snapshot's directory in the cache; resumes what was interrupted.

    Raises:
        ModelNotAvailableError: with the cause and what to do about it.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return Path(
            snapshot_download(
                source.repository,
                revision=source.revision,
                cache_dir=cache / "huggingface" / "hub",
                local_files_only=offline,
                endpoint=endpoint,
                token=token,
                ignore_patterns=_UNWANTED,
            )
        )
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    ) as error:
        raise ModelNotAvailableError(_refused(error, source, cache, offline)) from None
    except (httpx.HTTPError, OSError) as error:
        raise ModelNotAvailableError(_failed(error, source)) from None


def _refused(error: Exception, source: HubModel, cache: Path, offline: bool) -> str:
    """Why the hub does not give the model."""
    name = f"hf://{source.repository}"
    match error:
        case GatedRepoError():
            return (
                f"{name} is gated: accept its licence on the hub, and set HF_TOKEN to a token "
                "of that account"
            )
        case RepositoryNotFoundError():
            return f"{name} does not exist, or is private: check the name, or set HF_TOKEN"
        case RevisionNotFoundError():
            return f"{name} has no revision {source.revision!r}"
        case HFValidationError():
            return f"{name} is not a name a hub can have: {_first_line(error)}"
        case HfHubHTTPError():
            return f"{name}: the hub refuses: {_first_line(error)}"
        case _ if offline:
            return f"{name} is not in the cache {cache}, and downloading is switched off"
        case _:
            cause = _cause(error)
            return f"{name} cannot be reached: {cause}; check the network, HF_ENDPOINT, HTTPS_PROXY"


def _failed(error: Exception, source: HubModel) -> str:
    """What else went wrong on the way."""
    name = f"hf://{source.repository}"
    match error:
        case PermissionError():
            return (
                f"the cache cannot be written: {error}; make it writable for this user, "
                "or set NIM_CACHE_PATH"
            )
        case OSError(errno=errno.ENOSPC):
            return f"{name}: no space is left in the cache: {error}; set NIM_CACHE_PATH elsewhere"
        case _:
            return f"{name} cannot be fetched: {_first_line(error)}; check the network, HF_ENDPOINT"


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
