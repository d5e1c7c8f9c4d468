"""How much somebody may do in a minute: a bucket that fills up again all the time."""

import math
import time
from collections.abc import Callable

_MINUTE_S = 60.0


class Budget:
    """So many units per minute, and as many at once; what is spent afterwards may overdraw it."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / _MINUTE_S
        self._clock = clock
        self._left = float(per_minute)
        self._at_s = clock()

    @property
    def left(self) -> int:
        """Whole units that are there now."""
        return max(0, math.floor(self._filled()))

    @property
    def full_in_s(self) -> float:
        """Time until all of it is there again."""
        return (self.per_minute - self._filled()) / self._rate

    def wait_s(self) -> float:
        """Time until one unit is there; 0 if there is one."""
        return max(0.0, (1 - self._filled()) / self._rate)

    def spend(self, units: int) -> None:
        """Take so many out."""
        self._left = self._filled() - units

    def _filled(self) -> float:
        now_s = self._clock()
        self._left = min(self.per_minute, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return self._left
