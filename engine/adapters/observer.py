"""Who is told what happens to adapters; metrics, in the server."""

from typing import Protocol

from engine.adapters.refusal import Reason


class Observer(Protocol):
    """Called on the event loop."""

    def adapters_changed(self, served: int, in_engine: int) -> None:
        """How many requests may name, and how many the engine has in memory."""

    def adapter_refused(self, reason: Reason) -> None:
        """One was not loaded."""
