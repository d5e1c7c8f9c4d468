"""What one HTTP request has cost the engine, whoever made the engine work for it."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from engine.admission import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """When the engine came how far, in seconds of `time.monotonic`; 0 where it has not."""

    queued_s: float = 0.0
    scheduled_s: float = 0.0
    first_token_s: float = 0.0
    last_token_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Tokens, and seconds since the engine was asked; None where it has not come that far."""

    prompt_tokens: int = 0
    output_tokens: int = 0
    queued_s: float | None = None
    first_token_s: float | None = None
    steps: Steps | None = None


class Account:
    """Adds up what generations say of themselves, also while they run and after they failed."""

    def __init__(self) -> None:
        self.model = ""
        """What the request has named, if it is served here."""

        self.holder = ""
        """Whose key it was sent with; empty where there are none."""

        self.turn: int | None = None
        """Of the event loop, in which it was last let in at the turnstile."""

        self.ticket: Ticket | None = None
        """Of a request that was let in to the engine."""

        self.traceparent = ""
        """What it is a part of, for whoever is asked on its behalf; empty where nobody traces."""

        self.came_at_s = 0.0
        """When all of the request was there, by `time.monotonic`."""

        self.admitted_at_s = 0.0
        """When it was let in to the engine."""

        self.cache_salt = ""
        """Keeps what others may use again apart; empty: all may."""

        self._meters: list[Callable[[], Spent]] = []

    @property
    def waited_s(self) -> float:
        """How long it has waited to be let in."""
        return self.admitted_at_s - self.came_at_s

    def add(self, meter: Callable[[], Spent]) -> None:
        """One more generation."""
        self._meters.append(meter)

    def read(self) -> Spent:
        """All of them together: tokens in sum, times of the one that was slowest to begin."""
        parts = [meter() for meter in self._meters]
        if len(parts) == 1 and not self.waited_s:
            return parts[0]
        queued_s = _longest(part.queued_s for part in parts)
        if queued_s is not None:
            queued_s += self.waited_s
        steps = [part.steps for part in parts if part.steps is not None]
        return Spent(
            prompt_tokens=sum(part.prompt_tokens for part in parts),
            output_tokens=sum(part.output_tokens for part in parts),
            queued_s=queued_s,
            steps=max(steps, key=lambda it: it.last_token_s, default=None),
            first_token_s=_longest(part.first_token_s for part in parts),
        )


def _longest(times: Iterable[float | None]) -> float | None:
    return max((time for time in times if time is not None), default=None)


account: ContextVar[Account] = ContextVar("account")
"""That of the request which is being answered; not set where nobody asks."""


def cache_salt() -> str:
    """What keeps the cached tokens of the request that is being answered apart from others'."""
    mine = account.get(None)
    return "" if mine is None else mine.cache_salt
