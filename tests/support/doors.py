"""Open doors with any application behind them: real ports, in this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from starlette.types import ASGIApp

from app.doors import Doors
from app.settings import Settings
from tests.support.wait import wait_until


@contextmanager
def served(app: ASGIApp, settings: Settings) -> Iterator[tuple[int, int | None]]:
    """The ports, of the server and for probes, while the block runs; `app` is behind both."""
    doors = Doors("127.0.0.1", 0, settings)
    loops: list[asyncio.AbstractEventLoop] = []

    async def scene() -> None:
        loops.append(asyncio.get_running_loop())
        watching = asyncio.ensure_future(doors.follow())
        await doors.serve(app, app)
        watching.cancel()

    def serve() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scene())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_until(lambda: loops, within_s=5, what="it serves")
        yield doors.ports
    finally:
        loops[0].call_soon_threadsafe(doors.close)
        thread.join()
