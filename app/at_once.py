"""Runs what need not wait at once, where a task would wait for its turn of the event loop."""

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

# The event loop forgets tasks that nobody else has.
_going_on: set[asyncio.Task[None]] = set()


def run_at_once(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine for as long as it need not wait; the rest of it is a task.

    Before it waits for the first time it must not ask which task it is, as timeouts do. What it
    raises before that is raised here.
    """
    context = contextvars.copy_context()
    try:
        waits_for = context.run(coroutine.send, None)
    except StopIteration:
        return
    task = loop.create_task(_rest_of(coroutine, waits_for), context=context)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)


async def _rest_of(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _stepped(coroutine, waits_for)


@types.coroutine
def _stepped(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, None, None]:
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the coroutine's
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, None)
        try:
            waits_for = step()
        except StopIteration:
            return
