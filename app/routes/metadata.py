"""GET /v1/metadata, /v1/version, /v1/license, /v1/manifest: what the server says about itself."""

from typing import Any

from fastapi import APIRouter
from typing_extensions import TypedDict

from app.about import API_VERSION, Metadata, read_licence, release
from app.dependencies import ServerAbout

router = APIRouter()


class Version(TypedDict):
    """The release, and the version of the API."""

    release: str
    api: str


class LicenceText(TypedDict):
    """A licence, with its text."""

    name: str
    path: str
    sha: str
    size: int
    type: str
    content: str


@router.get("/v1/metadata")
async def metadata(about: ServerAbout) -> Metadata:
    """Release, licence, model and profile."""
    return about.metadata()


@router.get("/v1/version")
async def get_version() -> Version:
    """The release, and the version of the API."""
    return {"release": release(), "api": API_VERSION}


@router.get("/v1/license")
async def get_licence() -> LicenceText:
    """The program's licence, with its text."""
    licence = read_licence()
    return {
        "name": licence.name,
        "path": licence.path,
        "sha": licence.sha256,
        "size": len(licence.text.encode()),
        "type": "file",
        "content": licence.text,
    }


@router.get("/v1/manifest")
async def manifest(about: ServerAbout) -> dict[str, Any]:
    """The profiles there are for the model on this machine."""
    return about.manifest()
