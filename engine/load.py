"""How busy the engine was in its last steps."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Of one engine, or of several together."""

    kv_cache_usage: float = 0.0
    """Share of the memory for keys and values that is in use, 0 to 1; the highest of several."""

    waiting: int = 0
    """Requests in line, the engine's own included."""


OnPulse = Callable[[int, Load | None], None]
"""What is called for each step: with the replica that made it, and what it says of itself."""


class Loads:
    """That of each replica, as its steps report it."""

    def __init__(self) -> None:
        self._of: dict[int, Load] = {}

    def note(self, replica: int, load: Load | None) -> None:
        """It has made a step, and perhaps nothing to say."""
        if load is not None:
            self._of[replica] = load

    def total(self, in_front: int) -> Load:
        """All of them, with those that wait in front of the engine."""
        usage = max((load.kv_cache_usage for load in self._of.values()), default=0.0)
        return Load(usage, in_front + sum(load.waiting for load in self._of.values()))
