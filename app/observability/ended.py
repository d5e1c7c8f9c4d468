"""A request that has ended, for all who tell of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from engine.account import Account

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What was asked, what became of it, and what it has cost."""

    scope: Scope
    account: Account

    status: int
    """0 where nothing was answered."""

    answered_with: Headers
    """The answer's headers."""

    is_complete: bool
    """Whether the client was there until the end."""

    took_s: float

    @property
    def code(self) -> str | None:
        """Of the error that it was answered with."""
        return self._state.get("code")

    @property
    def request_id(self) -> str:
        """The client's, or a new one."""
        found: str = self._state.get("request_id", "")
        return found

    @property
    def key(self) -> str | None:
        """The name of the key it came with."""
        return self._state.get("key")

    @property
    def client(self) -> str | None:
        """The subject of the client's certificate."""
        tls: dict[str, Any] = self.scope.get("extensions", {}).get("tls", {})
        return tls.get("client_cert_name")

    @property
    def route(self) -> str | None:
        """The path of its route, with the names of what is variable in it."""
        route = self.scope.get("route")
        return None if route is None else route.path

    @property
    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.scope.get("state", {})
        return state
