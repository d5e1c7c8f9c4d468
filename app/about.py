"""What the server says about itself: release, licence, and the profile that is served."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from app.compose import Choice

# The version of the routes' behaviour, as NIM's /v1/version has one beside the release.
API_VERSION = "1.0.0"
_LICENCE = "LICENSE"


class LicenceInfo(TypedDict):
    """A licence without its text."""

    name: str
    path: str
    sha: str


class ModelInfo(TypedDict):
    """Where the model is from, and what it is called."""

    modelUrl: str
    shortName: str


class Metadata(TypedDict):
    """NIM's schema."""

    version: str
    assetInfo: list[str]
    licenseInfo: LicenceInfo
    modelInfo: list[ModelInfo]
    repository_override: str
    selectedModelProfileId: str


class About:
    """Made before anything is chosen; `choice` comes with SELECTING."""

    def __init__(self) -> None:
        self.choice: Choice | None = None

    def metadata(self) -> Metadata:
        """The body of GET /v1/metadata, in NIM's schema."""
        licence = read_licence()
        chosen = self.choice
        return {
            "version": release(),
            "assetInfo": [],
            "licenseInfo": {"name": licence.name, "path": licence.path, "sha": licence.sha256},
            "modelInfo": [_model(chosen)] if chosen else [],
            "repository_override": _override(chosen),
            "selectedModelProfileId": chosen.selection.profile.id if chosen else "",
        }

    def manifest(self) -> dict[str, Any]:
        """The body of GET /v1/manifest: the profiles there are, as NIM's manifests list them."""
        # With YAML behind it; whoever asks for it has time.
        from profiles.manifest import Manifest, contents  # noqa: PLC0415

        profiles = self.choice.situation.profiles if self.choice else ()
        return contents(Manifest(profiles=profiles))


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence and where its text is."""

    name: str
    path: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def release() -> str:
    """The version of this program."""
    try:
        return version("unigate")
    except PackageNotFoundError:
        return "0"


@cache
def read_licence() -> Licence:
    """The program's licence; a model's own is in its files."""
    text = ""
    path = Path(__file__).parents[1] / _LICENCE
    if path.exists():
        text = path.read_text(encoding="utf-8")
    else:
        text = distribution("unigate").read_text(f"licenses/{_LICENCE}") or ""
    return Licence("Apache-2.0", _LICENCE, text)


def _model(choice: Choice) -> ModelInfo:
    # A directory's path is nobody's business outside.
    url = choice.plan.source.name if choice.plan.is_local else choice.source.uri
    return {"modelUrl": url, "shortName": choice.plan.served_names[0]}


def _override(choice: Choice | None) -> str:
    """The mirror's address, without a password that may stand in it."""
    address = (choice.plan.resolved.settings.repository_override or "") if choice else ""
    scheme, separator, place = address.partition("://")
    return f"{scheme}{separator}{place.rpartition('@')[2]}"
