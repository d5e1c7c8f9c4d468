"""Judges from its pulse alone whether the engine makes progress. Pure: the clock is passed in.

A pulse is whatever only a working engine can send: output of a step, or the answer to a ping.
A busy engine and an idle one are judged alike, since a ping is executed between two steps: after
half of `stall_after_s` without a pulse a ping is due; when it too stays unanswered until
`stall_after_s`, the engine is stalled.
"""

from enum import Enum, auto


class Verdict(Enum):
    """What to do about the engine now."""

    OK = auto()
    PING = auto()
    STALLED = auto()
    DEAD = auto()


class Watchdog:
    """Feed it pulses and the time; ask it for the verdict at each tick."""

    def __init__(
        self, *, stall_after_s: float, kill_after_s: float, tick_s: float, now_s: float
    ) -> None:
        self._stall_after_s = stall_after_s
        self._kill_after_s = kill_after_s
        # A tick that comes late means that we were paused, not the engine (a stopped container, a
        # laptop's lid): of such a gap no more than this counts as the engine's silence.
        self._longest_tick_s = max(4 * tick_s, 1.0)
        self._last_tick_s = now_s
        self._silence_s = 0.0
        self._stalled_for_s: float | None = None
        self._ping_due_s = stall_after_s / 2

    @property
    def silence_s(self) -> float:
        """Seconds without a pulse, pauses of our own left out."""
        return self._silence_s

    @property
    def is_stalled(self) -> bool:
        """Whether the last verdict about the engine's progress was a bad one."""
        return self._stalled_for_s is not None

    def pulse(self) -> None:
        """The engine has shown that it works."""
        self._silence_s = 0.0
        self._stalled_for_s = None
        self._ping_due_s = self._stall_after_s / 2

    def check(self, now_s: float) -> Verdict:
        """One tick: the verdict, most serious first."""
        passed_s = min(now_s - self._last_tick_s, self._longest_tick_s)
        self._last_tick_s = now_s
        self._silence_s += passed_s
        if self._stalled_for_s is not None:
            self._stalled_for_s += passed_s
            if self._stalled_for_s >= self._kill_after_s:
                return Verdict.DEAD
        elif self._silence_s >= self._stall_after_s:
            self._stalled_for_s = 0.0
            return Verdict.STALLED
        if self._silence_s >= self._ping_due_s:
            # The next ping only after another half: a stalled engine is not flooded with them.
            self._ping_due_s += self._stall_after_s / 2
            return Verdict.PING
        return Verdict.STALLED if self.is_stalled else Verdict.OK
