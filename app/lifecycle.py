"""The life of the process, from top to bottom: listen, start, serve, drain, end."""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import uvloop
from starlette.types import ASGIApp

from app.about import About, release
from app.compose import Choice, choose, place_for_compiled, prepare
from app.confinement import forbid_core_dumps, share_with_group
from app.credentials import watch_credentials
from app.doors import Doors, DoorUnusableError
from app.exit_codes import ExitCode, code_of
from app.file_limit import raise_file_limit
from app.followed_files import FilesUnusableError
from app.front import Front, Probes
from app.health import Health
from app.keys import KeyRing
from app.middleware.request_id import RequestId
from app.observability.gpus import gpu_usages, watch_gpus
from app.observability.logging import FORMATTER_OF_ENGINE
from app.observability.loop_lag import watch_loop_lag
from app.observability.metrics import (
    EngineMetrics,
    observe_admission,
    observe_gpus,
    observe_loop_lag,
    observe_state,
    observe_tasks,
)
from app.plan import Plan
from app.settings import Settings
from app.termination import report
from engine import (
    Engine,
    EngineArgumentsError,
    EngineStartError,
    EngineState,
    FailureKind,
    StateMachine,
)
from engine.processes import adopt_orphans, end_all
from profiles.errors import ProfilesError
from profiles.progress import Progress

if TYPE_CHECKING:
    from app.middleware.own import OwnMiddleware
    from app.observability.tracing import Tracing

log = logging.getLogger(__name__)

# Once the end is decided it must not take longer than this; then the process leaves with its exit
# code, whatever still hangs. vLLM's own stop may take ten seconds of it (EngineConfig).
_CLEANUP_S = 15.0
# How long the guard may take to say what it was, after requests have been told that it is over.
_VERDICT_S = 2.0
# What traces are left may take so long to send.
_FLUSH_S = 3.0
_CODES = {
    FailureKind.DIED: ExitCode.ENGINE_DIED,
    FailureKind.STALLED: ExitCode.ENGINE_STALLED,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process ends, and why."""

    code: ExitCode
    reason: str


def run(plan: Plan) -> NoReturn:
    """Serve until asked to stop or until something fails; ends the process."""
    gc.enable()  # off since app.start
    raise_file_limit()
    share_with_group()
    settings = plan.resolved.settings
    if not settings.core_dumps:
        forbid_core_dumps()
    own = _own_middleware(settings)
    try:
        keys = KeyRing(settings.api_keys_path) if settings.api_keys_path else None
        doors = Doors(plan.host, plan.port, settings)
    except FilesUnusableError as error:
        _end_unstarted(ExitCode.BAD_SETTINGS, f"UNIGATE_API_KEYS_PATH: {error}", settings)
    except DoorUnusableError as error:
        _end_unstarted(ExitCode.PORT_UNUSABLE, str(error), settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # Not by returning: a thread that hangs would be waited for.
        leave(runner.run(_live(plan, doors, keys, own)).code)


def _own_middleware(settings: Settings) -> "OwnMiddleware | None":
    """Made before the server listens: one with half of its policies must not be there at all."""
    if settings.middleware_config_path is None:
        return None
    from app.middleware.own import OwnMiddleware  # noqa: PLC0415  # as in _import_factory

    try:
        return OwnMiddleware(settings.middleware_config_path)
    except FilesUnusableError as error:
        _end_unstarted(ExitCode.BAD_SETTINGS, f"NIM_MIDDLEWARE_CONFIG_PATH: {error}", settings)


def _end_unstarted(code: ExitCode, reason: str, settings: Settings) -> NoReturn:
    report(code, reason, settings.termination_log)
    leave(code)


def leave(code: ExitCode) -> NoReturn:
    """End the process at once, and with it what a thread may have started meanwhile."""
    end_all(0.0)
    logging.shutdown()
    os._exit(code)


async def _live(
    plan: Plan, doors: Doors, keys: KeyRing | None, own: "OwnMiddleware | None"
) -> Ending:
    adopt_orphans()
    engine = Engine(
        StateMachine(_on_state),
        EngineMetrics(),
        partial(place_for_compiled, plan.resolved.settings),
        log_level=plan.resolved.settings.log_level,
        log_formatter=FORMATTER_OF_ENGINE if plan.resolved.settings.jsonl_logging else None,
    )
    observe_admission(engine.admission)
    observe_tasks(asyncio.get_running_loop())
    progress, about = Progress(), About()
    health = Health(engine.states, engine.inflight, engine.admission, progress)
    probes = Probes(health, has_ping=plan.resolved.settings.sagemaker_mode)
    front = Front(probes)
    stop = StopSignals()
    serving = asyncio.ensure_future(doors.serve(RequestId(front), RequestId(probes)))
    working = asyncio.ensure_future(_work(plan, engine, progress, about))
    watching = [
        asyncio.ensure_future(watch_credentials(plan)),
        asyncio.ensure_future(watch_loop_lag(observe_loop_lag)),
        asyncio.ensure_future(watch_gpus(gpu_usages(plan.resolved.visible_devices), observe_gpus)),
        asyncio.ensure_future(doors.follow()),
        *([asyncio.ensure_future(keys.follow())] if keys else []),
    ]
    stopping = asyncio.ensure_future(stop.first.wait())
    ends: set[asyncio.Future[Any]] = {serving, working, stopping}
    doors.tell()
    tracing = await asyncio.to_thread(_tracing, plan.resolved.settings)
    create_app = await asyncio.to_thread(_import_factory)
    settings = plan.resolved.settings
    create = partial(
        create_app, engine, health, about, settings, keys=keys, tracing=tracing, own=own
    )
    front.open(await asyncio.to_thread(create))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        ending = await _fail(plan, engine, working.result())
    elif stopping.done():
        ending = await _stop(plan, engine, working, stop)
    else:
        reason = f"the HTTP server ended by itself: {serving.exception()}"
        ending = await _fail(plan, engine, Ending(ExitCode.PORT_UNUSABLE, reason))
    for watch in watching:
        watch.cancel()
    doors.close()
    await asyncio.wait({serving})
    if tracing is not None:
        flushing = asyncio.ensure_future(asyncio.to_thread(tracing.flush))
        await asyncio.wait({flushing}, timeout=_FLUSH_S)  # a collector may hang, we do not
    return ending


def _import_factory() -> Callable[..., ASGIApp]:
    from app.factory import create_app  # noqa: PLC0415  # `app.front` says why

    return create_app


def _tracing(settings: Settings) -> "Tracing | None":
    if not settings.enable_otel:
        return None
    # OpenTelemetry takes a while to import.
    from app.observability.tracing import Tracing  # noqa: PLC0415

    return Tracing(settings, release())


async def _work(plan: Plan, engine: Engine, progress: Progress, about: About) -> Ending:
    """Start the engine and watch it; returns only when something fails."""

    async def select() -> Choice:
        about.choice = await choose(plan)
        return about.choice

    try:
        await engine.start(select, partial(prepare, progress=progress))
        failure = await engine.watch()
    except (ProfilesError, EngineArgumentsError) as error:
        return Ending(code_of(error), str(error))
    except EngineStartError as error:
        return Ending(ExitCode.ENGINE_START_FAILED, str(error))
    except Exception as error:  # a bug of ours must not leave a process behind that serves nothing
        log.exception("process.bug")
        return Ending(ExitCode.ENGINE_START_FAILED, f"{type(error).__name__}: {error}")
    return Ending(_CODES[failure.kind], failure.reason)


async def _fail(plan: Plan, engine: Engine, ending: Ending) -> Ending:
    """Say why, answer every open request with an error, and end the engine."""
    settings = plan.resolved.settings
    report(ending.code, ending.reason, settings.termination_log)
    _leave_anyway(ending)
    # Probes show the state's reason to everybody, so it must not hold the cause, which names files.
    await engine.fail(f"{ending.code.name}; the log has the cause")
    await engine.kill()
    return ending


async def _stop(
    plan: Plan, engine: Engine, working: asyncio.Future[Ending], stop: "StopSignals"
) -> Ending:
    """Drain if there is anything to drain, then end the engine; at once on a second signal."""
    again = asyncio.ensure_future(stop.second.wait())
    if engine.states.state in (EngineState.READY, EngineState.STALLED):
        failure = await _drain(plan, engine, working, stop, again)
        if failure is not None:
            return await _fail(plan, engine, failure)
    working.cancel()
    ending = Ending(ExitCode.DRAINED, "asked to stop")
    _leave_anyway(ending)
    stopping = asyncio.ensure_future(engine.stop(graceful=not again.done()))
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        await engine.kill()
    return ending


async def _drain(
    plan: Plan,
    engine: Engine,
    working: asyncio.Future[Ending],
    stop: "StopSignals",
    again: asyncio.Future[Any],
) -> Ending | None:
    """Drain; the failure, if the engine fails those who still wait for it."""
    settings = plan.resolved.settings
    # A person at a terminal is no load balancer: Ctrl-C need not wait for one.
    delay_s = 0.0 if stop.interrupted else settings.drain_delay_s
    had_work = engine.inflight.count > 0
    draining = asyncio.ensure_future(engine.drain(delay_s, settings.drain_timeout_s))
    ends: set[asyncio.Future[Any]] = {working, draining, again}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    # An engine that ends while nobody waits for it, as when a whole process group is told to stop,
    # is no failure. One that dies under its last requests is, and they may be gone by now.
    if had_work and (working.done() or engine.errored):
        draining.cancel()
        await asyncio.wait({working}, timeout=_VERDICT_S)
        lost = Ending(ExitCode.ENGINE_DIED, "the engine ended during the drain")
        return working.result() if working.done() else lost
    if not draining.done():
        draining.cancel()
        log.warning("process.stopping_now", extra={"requests": engine.inflight.count})
        await engine.end_now()
    return None


class StopSignals:
    """SIGTERM and SIGINT as events: the first asks to drain, the second to end now."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.interrupted = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take, number)

    def _take(self, number: signal.Signals) -> None:
        log.info("process.signal", extra={"signal": number.name})
        if self.first.is_set():
            self.second.set()
            return
        self.interrupted = number == signal.SIGINT
        self.first.set()


def _on_state(old: EngineState, new: EngineState, reason: str) -> None:
    level = logging.ERROR if new is EngineState.FAILED else logging.INFO
    if new is EngineState.STALLED:
        level = logging.WARNING
    log.log(level, "engine.state", extra={"old": old.name, "new": new.name, "reason": reason})
    observe_state(new)


def _leave_anyway(ending: Ending) -> None:
    """End the process with its code even if the clean-up hangs, the event loop included."""
    timer = threading.Timer(_CLEANUP_S, leave, (ending.code,))
    timer.daemon = True
    timer.start()
