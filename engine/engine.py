"""The engine's life, from the first move to the last; the only caller of `StateMachine.to`."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine import garbage, huge_pages, processes
from engine.admission import Admission
from engine.config import EngineConfig
from engine.daemon_thread import call_in_daemon_thread
from engine.errors import (
    EngineArgumentsError,
    EngineDeadError,
    EngineDrainingError,
    EngineNotReadyError,
    EngineStalledError,
    EngineStartError,
)
from engine.guard import Failure, Guard, first_line
from engine.inflight import Inflight
from engine.load import Load, Loads
from engine.state import EngineState, StateMachine
from engine.turnstile import Turnstile

if TYPE_CHECKING:
    from engine.observer import Observer
    from engine.vllm.model import Model
    from engine.vllm.serving import Serving

log = logging.getLogger(__name__)

Plan = TypeVar("Plan")

_STARTING = "The model is not loaded yet; this server is {}."
_STALLED = "The engine makes no progress at the moment."
_DRAINING = "This server is shutting down."
_CUT_OFF = "This server is shutting down, and the answer did not finish in time."
_DEAD = "The engine has ended; this server is restarting."
# How long an answer that is being ended may take to reach its client.
_LAST_WORDS_S = 3.0
# Requests that are taken on in one turn of the event loop, at a millisecond or so each.
_PER_TURN = 2


class Engine:
    """One engine; `start` once, then `watch` until it fails or `drain` and `stop` are called."""

    def __init__(
        self,
        states: StateMachine,
        observer: "Observer",
        compiled: Callable[[], Path | None],
        *,
        log_level: str = "INFO",
        log_formatter: str | None = None,
    ) -> None:
        """`observer` is told what happens besides; `log_formatter` is the dotted name of a class
        that writes the engine's lines, in all of its processes.

        `compiled` says, and may take a while, where to keep what the engine compiles; None: it
        cannot be kept.
        """
        self._compiled = compiled
        self._states = states
        self._observer = observer
        self._keeping: asyncio.Future[None] | None = None
        self._log_level = log_level
        self._log_formatter = log_formatter
        self._model: Model | None = None
        self._config: EngineConfig | None = None
        self._guard: Guard | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="unigate-", ignore_cleanup_errors=True)
        self.inflight = Inflight(garbage.expect)
        self.admission = Admission()
        self._loads = Loads()
        self.turnstile = Turnstile(_PER_TURN)

    @property
    def states(self) -> StateMachine:
        """The state, for those who read it."""
        return self._states

    @property
    def serving(self) -> "Serving":
        """What answers requests; raises the reason when nothing may be answered now."""
        match self._states.state:
            case EngineState.READY:
                assert self._model is not None  # READY comes after WARMING
                return self._model.serving
            case EngineState.STALLED:
                raise EngineStalledError(_STALLED)
            case EngineState.DRAINING | EngineState.STOPPED:
                raise EngineDrainingError(_DRAINING)
            case EngineState.FAILED:
                raise EngineDeadError(_DEAD)
            case state:
                raise EngineNotReadyError(_STARTING.format(state.name))

    @property
    def load(self) -> Load:
        """How busy it is."""
        return self._loads.total(self.admission.waiting)

    @property
    def request_timeout_s(self) -> float | None:
        """Longest time for one answer; None for any."""
        return self._config.request_timeout_s if self._config else None

    async def start(
        self,
        select: Callable[[], Awaitable[Plan]],
        fetch: Callable[[Plan], Awaitable[EngineConfig]],
    ) -> None:
        """Go from PENDING to READY.

        Raises:
            EngineArgumentsError: vLLM does not understand the engine arguments.
            EngineStartError: the engine did not come up.
            Exception: whatever `select` and `fetch` raise.
        """
        self._states.to(EngineState.SELECTING, "choosing what to serve")
        forks = await call_in_daemon_thread(self._prepare, "engine-prepare")
        plan = await select()
        self._states.to(EngineState.DOWNLOADING, "fetching and verifying the model's files")
        importing = asyncio.ensure_future(
            call_in_daemon_thread(partial(_import_vllm, forks=forks), "engine-import")
        )
        config = await fetch(plan)
        self._states.to(EngineState.LOADING, f"loading {config.served_names[0]}")
        self._config = config
        try:
            async with asyncio.timeout(config.start_timeout_s):
                await self._load(config, importing)
        except TimeoutError:
            raise EngineStartError(
                f"not ready after {config.start_timeout_s:g} s in state {self._states.state.name}; "
                "raise UNIGATE_START_TIMEOUT_S if the model needs longer",
            ) from None
        model, _ = self._running()
        self._keeping = asyncio.ensure_future(model.keep_adapters())
        self._states.to(EngineState.READY, f"serving {config.served_names[0]}")

    def _prepare(self) -> bool:
        """Start what imports vLLM for the engine's processes; whether there is such a thing."""
        from engine.vllm import environment, forkserver  # noqa: PLC0415  # before vLLM, in a thread

        forks = forkserver.is_possible()
        scratch = Path(self._scratch.name)
        environment.prepare(scratch, self._log_level, self._compiled() or scratch / "compiled")
        if self._log_formatter is not None:
            environment.write_log_as(self._log_formatter, scratch)
        if forks:
            forkserver.start()
        return forks

    async def _load(self, config: EngineConfig, importing: asyncio.Future[None]) -> None:
        def load() -> "Model":
            from engine.vllm import forkserver, libraries  # noqa: PLC0415  # as in _prepare
            from engine.vllm.environment import prepare_for  # noqa: PLC0415  # as in _prepare
            from engine.vllm.model import Model  # noqa: PLC0415  # imported by now

            huge_pages.use()  # the engine's processes have work now, and this one has not
            prepare_for(config)
            scratch = Path(self._scratch.name)
            model = Model.load(config, self._on_pulse, self.inflight.track, scratch, self._observer)
            forkserver.end()  # all of the engine's processes are there
            libraries.let_go()
            return model

        try:
            await importing
            model = await call_in_daemon_thread(load, "engine-load")
            await model.attach()
            self._states.to(EngineState.WARMING, "generating the first token")
            await model.warm_up()
            await model.load_adapters()
            self.admission.open(model.room())
        except EngineArgumentsError:
            raise
        except Exception as error:  # the border to vLLM: any failure means that there is no engine
            log.exception("engine.start_failed")
            raise EngineStartError(first_line(error)) from error
        self._model = model

    async def watch(self) -> Failure:
        """Watch a started engine; returns when it has failed."""
        model, config = self._running()
        self._guard = Guard(model, config, self._follow)
        return await self._guard.watch()

    def _follow(self, stalled: bool, reason: str) -> None:
        """READY and STALLED follow the guard; a drain goes on whatever it says."""
        state = self._states.state
        if stalled and state is EngineState.READY:
            self._states.to(EngineState.STALLED, reason)
        elif not stalled and state is EngineState.STALLED:
            self._states.to(EngineState.READY, reason)

    def _on_pulse(self, replica: int, load: Load | None) -> None:
        self._loads.note(replica, load)
        if self._guard is not None:
            self._guard.pulse()
        self.admission.look()  # each step may have made room

    def _running(self) -> "tuple[Model, EngineConfig]":
        if self._model is None or self._config is None:
            raise RuntimeError("the engine is not started")
        return self._model, self._config

    async def fail(self, reason: str) -> None:
        """Give up: every open request gets its error now, and new ones are refused."""
        self._states.to(EngineState.FAILED, reason)
        await self._keep_no_longer()
        self.admission.refuse_all(EngineDeadError(_DEAD))
        if self._model is not None:
            self._model.refuse_all(EngineDeadError(_DEAD))
            await self.inflight.wait_until_empty(_LAST_WORDS_S)

    async def drain(self, delay_s: float, timeout_s: float) -> None:
        """Refuse new work, let running requests finish, and end the rest with an error."""
        self._states.to(EngineState.DRAINING, "asked to stop")
        self.admission.refuse_all(EngineDrainingError(_DRAINING))
        await self._keep_no_longer()
        await asyncio.sleep(delay_s)
        if await self.inflight.wait_until_empty(timeout_s):
            return
        log.warning("engine.drain_timeout", extra={"requests": self.inflight.count})
        await self.end_now()

    async def _keep_no_longer(self) -> None:
        """From here on adapters stay as they are, for those who use them."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def end_now(self) -> None:
        """End running requests with an error at once, whatever a drain would still wait for."""
        model, _ = self._running()
        model.refuse_all(EngineDrainingError(_CUT_OFF))
        await self.inflight.wait_until_empty(_LAST_WORDS_S)

    @property
    def errored(self) -> bool:
        """Whether vLLM itself knows that the engine is dead."""
        return self._model is not None and self._model.errored

    async def stop(self, *, graceful: bool = True) -> None:
        """End the engine's processes, whatever state they are in."""
        listens = graceful and self._guard is not None and not self._guard.is_stalled
        await self._keep_no_longer()
        if self._guard is not None:
            self._guard.close()
        if listens and self._model is not None and self._config is not None:
            timeout_s = self._config.stop_timeout_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s + 2):
                    await self._model.shutdown(timeout_s)
        await self.kill()
        if self._states.state is not EngineState.FAILED:
            self._states.to(EngineState.STOPPED, "asked to stop")

    async def kill(self) -> None:
        """Kill what is left of the engine's processes."""
        await call_in_daemon_thread(lambda: processes.end_all(0.0), "engine-kill")
        self._scratch.cleanup()


def _import_vllm(*, forks: bool) -> None:
    """Import what `_load` needs, which takes seconds."""
    from engine.vllm import forkserver, libraries  # noqa: PLC0415  # as in _prepare

    libraries.load()
    with garbage.only_young():
        if forks:
            forkserver.use()
        import_module("engine.vllm.model")
