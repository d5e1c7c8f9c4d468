"""Where a model comes from: parses what the user wrote, touches neither disk nor network."""

import re
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import ModelReferenceError

_HUB = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?::(?P<revision>[\w./-]+))?")
_LATER = ("ngc://", "modelscope://", "s3://", "gs://")


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A directory on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise: never the path."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository of a Hugging Face hub."""

    repository: str
    revision: str | None

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise."""
        return self.repository


ModelSource = LocalModel | HubModel


def parse_source(reference: str) -> ModelSource:
    """The source behind `NIM_MODEL_PATH` or a model on the command line.

    Raises:
        ModelReferenceError: it is neither a directory nor `hf://organisation/model[:revision]`.
    """
    if reference.startswith(_LATER):
        scheme = reference.partition("://")[0]
        raise ModelReferenceError(f"{scheme}:// is not supported yet; use hf:// or a directory")
    if reference.startswith("hf://"):
        found = _HUB.fullmatch(reference)
        if found is None:
            raise ModelReferenceError(
                f"{reference!r} is not understood; write hf://organisation/model[:revision]",
            )
        return HubModel(found["repository"], found["revision"])
    if "://" in reference:
        raise ModelReferenceError(f"{reference!r} is not understood; use hf:// or a directory")
    try:
        return LocalModel(Path(reference).expanduser().absolute())
    except RuntimeError as error:  # ~somebody who does not exist
        raise ModelReferenceError(f"{reference!r} is not understood: {error}") from None
