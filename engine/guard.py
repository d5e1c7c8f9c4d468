"""Stands guard over a started engine: its processes, its progress, and the pings between them."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from pydantic import ValidationError

from engine.config import EngineConfig
from engine.processes import Sentinels, worker_ids
from engine.watchdog import Verdict, Watchdog

log = logging.getLogger(__name__)

_RECOVERED = "the engine makes progress again"


class FailureKind(Enum):
    """Why a running engine was given up."""

    DIED = auto()
    STALLED = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a running engine, and its cause for people."""

    kind: FailureKind
    reason: str


class Guarded(Protocol):
    """What the guard asks of a model."""

    @property
    def errored(self) -> bool:
        """Whether vLLM itself knows that the engine is dead."""

    def process_ids(self) -> tuple[int, ...]:
        """Ids of the engine core processes."""

    def exit_code(self, pid: int) -> int | None:
        """How such a process ended, negative for a signal; None if that is not known."""

    async def ping(self) -> None:
        """Return when the engine has answered; raise when it has not within its deadline."""


class Guard:
    """One guard for one engine; create it on the event loop."""

    def __init__(
        self, model: Guarded, config: EngineConfig, follow: Callable[[bool, str], None]
    ) -> None:
        """`follow` is told at each tick whether the engine is stalled, and why."""
        self._model = model
        self._follow = follow
        # Fast enough that a stall is seen within a twentieth of its limit.
        self._tick_s = min(0.5, config.stall_after_s / 20)
        self._watchdog = Watchdog(
            stall_after_s=config.stall_after_s,
            kill_after_s=config.kill_after_s,
            tick_s=self._tick_s,
            now_s=time.monotonic(),
        )
        self._pings: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        names = dict.fromkeys(model.process_ids(), "the engine core")
        names |= dict.fromkeys(worker_ids(), "a worker of the engine")
        self._sentinels = Sentinels(names, self._end, model.exit_code)

    @property
    def is_stalled(self) -> bool:
        """Whether the engine shows no sign of life at the moment."""
        return self._watchdog.is_stalled

    def pulse(self) -> None:
        """The engine has shown that it works; a stall is over now, not at the next tick."""
        was_stalled = self._watchdog.is_stalled
        self._watchdog.pulse()
        if was_stalled:
            self._follow(False, _RECOVERED)

    def close(self) -> None:
        """Stop looking: what ends from now on ends on purpose."""
        self._sentinels.close()
        for ping in self._pings:
            ping.cancel()

    async def watch(self) -> Failure:
        """Look until the engine has failed."""
        while True:
            await asyncio.wait({self._ended}, timeout=self._tick_s)
            failure = self._look()
            if failure is not None:
                return failure

    def _look(self) -> Failure | None:
        if self._ended.done():
            return Failure(FailureKind.DIED, self._ended.result())
        if self._model.errored:
            return Failure(FailureKind.DIED, "vLLM reports its engine dead; the cause is above")
        verdict = self._watchdog.check(time.monotonic())
        silence = f"no sign of life from the engine for {self._watchdog.silence_s:.1f} s"
        match verdict:
            case Verdict.DEAD:
                return Failure(FailureKind.STALLED, silence)
            case Verdict.STALLED:
                self._follow(True, silence)
            case Verdict.OK:
                self._follow(False, _RECOVERED)
            case Verdict.PING:
                ping = asyncio.ensure_future(self._ping())
                self._pings.add(ping)
                ping.add_done_callback(self._pings.discard)
        return None

    async def _ping(self) -> None:
        try:
            await self._model.ping()
        except Exception as error:  # noqa: BLE001  # no pulse; the watchdog draws the conclusion
            log.warning("engine.ping_failed", extra={"error": first_line(error)})
        else:
            self.pulse()

    def _end(self, sentence: str) -> None:
        if not self._ended.done():
            self._ended.set_result(sentence)


def first_line(error: BaseException) -> str:
    """The first line of an error, or its kind when it says nothing."""
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"])
    if isinstance(error, TimeoutError) and not str(error):
        return "the engine did not answer in time"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
