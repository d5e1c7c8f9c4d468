"""The states of the process, the moves between them, and the one object that makes a move."""

import time
from collections.abc import Callable
from enum import IntEnum


class EngineState(IntEnum):
    """Where the process is in its life. The numbers are a metric and never change."""

    PENDING = 0
    SELECTING = 1
    DOWNLOADING = 2
    LOADING = 3
    WARMING = 4
    READY = 5
    STALLED = 6
    DRAINING = 7
    STOPPED = 8
    FAILED = 9


_END = frozenset({EngineState.STOPPED, EngineState.FAILED})

TRANSITIONS: dict[EngineState, frozenset[EngineState]] = {
    EngineState.PENDING: _END | {EngineState.SELECTING},
    EngineState.SELECTING: _END | {EngineState.DOWNLOADING},
    EngineState.DOWNLOADING: _END | {EngineState.LOADING},
    EngineState.LOADING: _END | {EngineState.WARMING},
    EngineState.WARMING: _END | {EngineState.READY},
    EngineState.READY: frozenset(
        {EngineState.STALLED, EngineState.DRAINING, EngineState.FAILED},
    ),
    EngineState.STALLED: frozenset(
        {EngineState.READY, EngineState.DRAINING, EngineState.FAILED},
    ),
    EngineState.DRAINING: _END,
    EngineState.STOPPED: frozenset(),
    EngineState.FAILED: frozenset(),
}


class IllegalTransitionError(RuntimeError):
    """A move that is not in `TRANSITIONS`: a bug of ours, never a user's mistake."""

    def __init__(self, old: EngineState, new: EngineState) -> None:
        super().__init__(f"no move from {old.name} to {new.name}")
        self.old, self.new = old, new


class StateMachine:
    """Holds the state; `to` is the only way to change it, and `Engine` its only caller."""

    def __init__(
        self,
        on_change: Callable[[EngineState, EngineState, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._state = EngineState.PENDING
        self._since = clock()
        self._reason = "the process has started"

    @property
    def state(self) -> EngineState:
        """The state now."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the last move was made, for people."""
        return self._reason

    @property
    def seconds(self) -> float:
        """Seconds since the last move."""
        return self._clock() - self._since

    def to(self, new: EngineState, reason: str) -> None:
        """Move, and tell the listener why."""
        old = self._state
        if new not in TRANSITIONS[old]:
            raise IllegalTransitionError(old, new)
        self._state, self._since, self._reason = new, self._clock(), reason
        self._on_change(old, new, reason)
