"""Who is told what happens in the engine; metrics, in the server."""

from typing import Protocol

from engine.adapters.observer import Observer as AdapterObserver


class Observer(AdapterObserver, Protocol):
    """Called on the event loop, except where it says."""

    def fields_unknown(self, route: str, count: int) -> None:
        """A request to `route` had so many; 0 for each route at the start, in a thread."""

    def routine_followed(self) -> None:
        """A request was answered the short way, because its like had been answered before."""
