"""GET /v1/metadata, /v1/version, /v1/license, /v1/manifest: what the server says about itself."""

from typing import Any

from fastapi import APIRouter

from app.about import API_VERSION, read_licence, release
from app.dependencies import ServerAbout

router = APIRouter()


@router.get("/v1/metadata", response_model=None)
async def metadata(about: ServerAbout) -> dict[str, Any]:
    """Release, licence, model and profile."""
    return about.metadata()


@router.get("/v1/version", response_model=None)
async def get_version() -> dict[str, str]:
    """The release, and the version of the API."""
    return {"release": release(), "api": API_VERSION}


@router.get("/v1/license", response_model=None)
async def get_licence() -> dict[str, Any]:
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


@router.get("/v1/manifest", response_model=None)
async def manifest(about: ServerAbout) -> dict[str, Any]:
    """The profiles there are for the model on this machine."""
    return about.manifest()
