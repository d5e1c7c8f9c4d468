"""Runs a call that blocks for long in a thread that nobody has to wait for.

`asyncio.to_thread` would do, but its threads are joined when the process ends: a model that is
still loading when SIGTERM comes could not be left behind.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import TypeVar

Result = TypeVar("Result")


async def call_in_daemon_thread(function: Callable[[], Result], name: str) -> Result:
    """Return what `function` returns; when cancelled, the thread is left to itself."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def finish(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # None only where Result has it
        else:
            outcome.set_exception(error)

    def run() -> None:
        # Processes started in this thread inherit the mask: Ctrl-C reaches the whole group of a
        # terminal, and only the server may decide what it means for the engine.
        # Starting multiprocessing's resource tracker unblocks SIGINT, so it has to come first.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            loop.call_soon_threadsafe(finish, None, error)
        else:
            loop.call_soon_threadsafe(finish, result, None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome
