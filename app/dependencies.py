"""What routes ask for, through FastAPI's `Depends`.

Coroutines all: FastAPI sends plain functions through a thread pool, and no probe may wait for one.
"""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.about import About
from app.health import Health
from engine import Engine


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


async def get_health(request: Request) -> Health:
    """What probes are told."""
    health = request.app.state.health
    assert isinstance(health, Health)  # create_app has put it there
    return health


async def ready_engine(engine: Annotated[Engine, Depends(get_engine)]) -> Engine:
    """The engine, if it takes work; raises the reason why not."""
    _ = engine.serving
    return engine


AnyEngine = Annotated[Engine, Depends(get_engine)]
ReadyEngine = Annotated[Engine, Depends(ready_engine)]
ServerHealth = Annotated[Health, Depends(get_health)]
ServerAbout = Annotated[About, Depends(get_about)]
