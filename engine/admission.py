"""Hands requests to the engine while it has room for them, and keeps the others in line.

The engine would take any number of them, first come, first served: the last of a thousand waits
for minutes, one client's thousand keep everybody else waiting, and each is rendered and sent over
before it is known whether its client will still be there. In front of it a line can be fair, short
and cheap to leave: who waits here has nothing but the body of its request.
"""

import asyncio
import bisect
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.errors import EngineError, OverloadedError, ShareUsedError

# How many that have left tell how fast the line moves.
_SEEN = 64
_LONGEST_RETRY_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """How many may wait, and how long; None: what fits the engine."""

    waiting: int | None = None
    """Requests in line."""

    wait_s: float = 60.0
    """Longest time in line."""

    queued_tokens: int | None = None
    """Tokens of prompts that the engine has been handed and has not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the engine holds."""

    waiting: int
    wait_s: float
    honours_priority: bool
    has_room_for: Callable[[int], bool]
    """Whether it would take one more if it already had so many more."""


@dataclass(order=True, slots=True)
class _Waiter:
    """One in line; lower numbers of `priority` come first, as in vLLM."""

    priority: int
    number: int
    holder: str = field(compare=False)
    admitted: "asyncio.Future[Ticket]" = field(compare=False)

    @property
    def is_admitted(self) -> bool:
        """Whether it was let in, whatever came of that."""
        return (
            self.admitted.done()
            and not self.admitted.cancelled()
            and self.admitted.exception() is None
        )


class Ticket:
    """Of one request that was let in; whoever has it must see to it that it `leave`s."""

    __slots__ = ("_admission", "_is_preparing", "holder")

    def __init__(self, admission: "Admission", holder: str) -> None:
        self._admission = admission
        self.holder = holder
        self._is_preparing = True

    def hand_over(self) -> None:
        """From here on the engine itself tells how much room the request takes."""
        if self._is_preparing:
            self._is_preparing = False
            self._admission.preparing -= 1

    def leave(self) -> None:
        """It is done, however it has ended."""
        self.hand_over()
        self._admission.forget(self)


class Admission:
    """One engine's; before `open` everybody gets in, since nobody but its makers asks."""

    def __init__(self) -> None:
        self.preparing = 0
        """Requests that have been let in and that the engine does not have yet."""

        self._room: Room | None = None
        self._inside: Counter[str] = Counter()
        self._lines: dict[str, list[_Waiter]] = {}
        self._numbers = itertools.count()
        self._taken_at: dict[str, int] = {}
        self._moved_at_s: deque[float] = deque(maxlen=_SEEN)
        """When the line of now began, and when somebody has left since."""

    def open(self, room: Room) -> None:
        """From here on there is only so much room."""
        self._room = room

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return sum(map(len, self._lines.values()))

    @property
    def inside(self) -> int:
        """Requests that have been let in and have not left."""
        return self._inside.total()

    @property
    def honours_priority(self) -> bool:
        """Whether the `priority` of a request counts."""
        return self._room is not None and self._room.honours_priority

    def enter(self, holder: str) -> Ticket | None:
        """Let a request in if there is room and nobody waits."""
        if self._lines or not self._has_room():
            return None
        return self._ticket(holder)

    async def wait(self, holder: str, priority: int = 0) -> Ticket:
        """Wait in line, and be let in.

        Of several holders that wait, the one with the fewest inside is next, then the one whose
        turn is longest ago; of one holder's requests, the one of the lowest priority number, then
        the oldest.

        Raises:
            OverloadedError: the line is full, or did not move in time.
            ShareUsedError: the line is full of this holder's requests, and others wait, too.
            EngineError: what `refuse_all` was told.
        """
        assert self._room is not None  # `enter` has refused
        loop = asyncio.get_running_loop()
        mine = _Waiter(priority, next(self._numbers), holder, loop.create_future())
        if not self._lines:
            self._moved_at_s.clear()
            self._moved_at_s.append(loop.time())
        if self.waiting >= self._room.waiting:
            self._push_out_for(mine)
        bisect.insort(self._lines.setdefault(holder, []), mine)
        try:
            async with asyncio.timeout(self._room.wait_s):
                return await mine.admitted
        except (TimeoutError, asyncio.CancelledError) as ended:
            self._leave_line(mine)
            if mine.is_admitted:  # at the same time
                mine.admitted.result().leave()
            if isinstance(ended, TimeoutError):
                raise OverloadedError(
                    f"This server is busy: nothing was free within {self._room.wait_s:g} s.",
                    self._retry_after_s(),
                ) from None
            raise

    def forget(self, ticket: Ticket) -> None:
        """It has left."""
        holder = ticket.holder
        self._moved_at_s.append(asyncio.get_running_loop().time())
        self._inside[holder] -= 1
        if not self._inside[holder]:
            del self._inside[holder]
        if holder not in self._inside and holder not in self._lines:
            del self._taken_at[holder]
        self.look()

    def look(self) -> None:
        """Let in whoever there is room for now; to be called whenever there may be more."""
        while self._lines and self._has_room():
            holder = min(self._lines, key=self._claim)
            first = self._lines[holder][0]
            self._leave_line(first)
            if not first.admitted.done():  # its client has left just now
                first.admitted.set_result(self._ticket(holder))

    def refuse_all(self, error: EngineError) -> None:
        """Nobody in line gets in any more."""
        for line in list(self._lines.values()):
            for waiter in list(line):
                self._refuse(waiter, error)

    def _ticket(self, holder: str) -> Ticket:
        self.preparing += 1
        self._inside[holder] += 1
        self._taken_at[holder] = next(self._numbers)
        return Ticket(self, holder)

    def _claim(self, holder: str) -> tuple[int, int, _Waiter]:
        """Of holders that wait, the one with the least of this is next."""
        return self._inside[holder], self._taken_at.get(holder, -1), self._lines[holder][0]

    def _has_room(self) -> bool:
        return self._room is None or self._room.has_room_for(self.preparing)

    def _push_out_for(self, mine: _Waiter) -> None:
        """Make room in a line that is full, or raise why there is none.

        A holder with fewer in line comes before one with more, and pushes out its last.
        """
        own = self._lines.get(mine.holder, [])
        longest = max(self._lines.values(), key=len, default=own)
        gives = longest if len(own) + 1 < len(longest) else own
        if not gives or (gives is own and own[-1] < mine):
            raise self._refusal(mine, mine)
        self._refuse(gives[-1], self._refusal(gives[-1], mine))

    def _refusal(self, refused: _Waiter, latest: _Waiter) -> EngineError:
        holders = self._inside.keys() | self._lines.keys() | {latest.holder}
        if holders - {refused.holder}:
            return ShareUsedError(self._retry_after_s())
        return OverloadedError(
            f"This server is busy: {self.waiting} requests wait already.", self._retry_after_s()
        )

    def _refuse(self, waiter: _Waiter, error: EngineError) -> None:
        self._leave_line(waiter)
        if not waiter.admitted.done():
            waiter.admitted.set_exception(error)

    def _leave_line(self, waiter: _Waiter) -> None:
        line = self._lines.get(waiter.holder, [])
        place = bisect.bisect_left(line, waiter)
        if line[place : place + 1] == [waiter]:
            del line[place]
        if not line:
            self._lines.pop(waiter.holder, None)

    def _retry_after_s(self) -> int:
        """When the line of now will have gone, at the pace that it has."""
        passed_s = asyncio.get_running_loop().time() - self._moved_at_s[0]
        pace_s = passed_s / max(1, len(self._moved_at_s) - 1)
        return max(1, min(_LONGEST_RETRY_S, math.ceil(self.waiting * pace_s)))
