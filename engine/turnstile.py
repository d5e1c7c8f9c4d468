"""Lets in so many at a time that the event loop gets to other things in between.

Requests that arrive together would all be read, rendered and admitted in one turn of the loop, and
those that end in one step would all be answered in one; a probe or the next token of everybody else
would wait for all of them. Where each takes long, as with tools, one gets in at a time.
"""

import asyncio
import time
from collections import deque

# Two plain chats take less, two with tools more.
_LONG_TURN_S = 0.004


class Turnstile:
    """First come, first served; whoever comes while there is room does not wait."""

    def __init__(self, per_turn: int) -> None:
        """`per_turn` is how many get in before the loop looks for what else there is to do."""
        self._per_turn = per_turn
        self._left = per_turn
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False
        self._turned_s = 0.0
        self._turns = 0

    async def enter(self, turn: int | None = None) -> int:
        """Return when it is one's turn, with its number; at once if that is the `turn` of now."""
        if turn == self._turns:
            return turn
        loop = asyncio.get_running_loop()
        if not self._is_turning:
            self._is_turning = True
            self._turned_s = time.monotonic()
            loop.call_soon(self._turn, loop)
        if self._left:
            self._left -= 1
        else:
            mine = loop.create_future()
            self._waiting.append(mine)
            await mine
        return self._turns

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        now_s = time.monotonic()
        took_s, self._turned_s = now_s - self._turned_s, now_s
        self._left = self._per_turn if took_s < _LONG_TURN_S else 1
        while self._waiting and self._left:
            first = self._waiting.popleft()
            if not first.done():  # who waited may have left
                first.set_result(None)
                self._left -= 1
        self._is_turning = self._left < self._per_turn
        if self._is_turning:
            loop.call_soon(self._turn, loop)
