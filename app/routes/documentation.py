"""GET /openapi.json and /docs, with its two files: nothing is fetched from elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from app.dependencies import ReadyEngine
from app.openapi import Document
from engine import Engine

router = APIRouter()

# Addresses are relative, so that the page works below a prefix, too.
_SCRIPT, _STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
_PAGE = get_swagger_ui_html(
    openapi_url="openapi.json",
    title="unigate",
    swagger_js_url=f"docs/{_SCRIPT}",
    swagger_css_url=f"docs/{_STYLE}",
    swagger_favicon_url="data:,",
    # It would send the document to a service on the internet.
    swagger_ui_parameters={"validatorUrl": None},
)


async def get_document(request: Request) -> Document:
    """The document, made or not."""
    document = request.app.state.document
    assert isinstance(document, Document)  # create_app has put it there
    return document


@router.get(
    "/openapi.json",
    response_model=None,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def openapi(
    engine: ReadyEngine, document: Annotated[Document, Depends(get_document)]
) -> Response:
    """This document; once the model is loaded."""
    return Response(await document.read(engine), media_type="application/json")


@router.get("/docs", response_class=HTMLResponse)
async def docs(_: ReadyEngine) -> HTMLResponse:
    """A page that shows the document and sends requests."""
    return _PAGE


@router.get(
    f"/docs/{_SCRIPT}",
    response_class=FileResponse,
    responses={200: {"content": {"text/javascript": {}}}},
)
async def script(engine: ReadyEngine) -> FileResponse:
    """The page's program: Swagger UI."""
    return _file(engine, _SCRIPT, "text/javascript")


@router.get(
    f"/docs/{_STYLE}",
    response_class=FileResponse,
    responses={200: {"content": {"text/css": {}}}},
)
async def style(engine: ReadyEngine) -> FileResponse:
    """The page's style."""
    return _file(engine, _STYLE, "text/css")


def _file(engine: Engine, name: str, media_type: str) -> FileResponse:
    return FileResponse(engine.serving.swagger_ui / name, media_type=media_type)
