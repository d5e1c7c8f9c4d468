"""What routes ask for, through FastAPI's `Depends`.

Coroutines all: FastAPI sends plain functions through a thread pool, and no probe may wait for one.
"""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.about import About
from engine import Engine
from profiles.progress import Progress


async def get_engine(request: Request) -> Engine:
    """The engine, in whatever state it is."""
    engine = request.app.state.engine
    assert isinstance(engine, Engine)  # create_app has put it there
    return engine


async def get_about(request: Request) -> About:
    """What the server says about itself."""
    about = request.app.state.about
    assert isinstance(about, About)  # create_app has put it there
    return about


async def get_progress(request: Request) -> Progress:
    """How far the model's files have come."""
    progress = request.app.state.progress
    assert isinstance(progress, Progress)  # create_app has put it there
    return progress


async def ready_engine(engine: Annotated[Engine, Depends(get_engine)]) -> Engine:
    """The engine, if it takes work; raises the reason why not."""
    _ = engine.serving
    return engine


AnyEngine = Annotated[Engine, Depends(get_engine)]
ReadyEngine = Annotated[Engine, Depends(ready_engine)]
DownloadProgress = Annotated[Progress, Depends(get_progress)]
ServerAbout = Annotated[About, Depends(get_about)]
