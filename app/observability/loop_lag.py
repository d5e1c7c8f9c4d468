"""How late the event loop is: whatever this process answers waits for it."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

_EVERY_S = 0.1


async def watch_loop_lag(observe: Callable[[float], None]) -> NoReturn:
    """Tell `observe`, ten times a second, by how many seconds the loop kept a call waiting."""
    while True:
        due_s = time.monotonic() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        observe(max(0.0, time.monotonic() - due_s))
