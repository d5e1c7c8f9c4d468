"""A model that is loaded: what `engine.engine` needs of vLLM, in types that are not vLLM's."""

import argparse
import asyncio
from pathlib import Path

from vllm.envs import enable_envs_cache

from engine.adapters.library import Library
from engine.admission import Room
from engine.config import EngineConfig
from engine.daemon_thread import call_in_daemon_thread
from engine.errors import EngineError
from engine.garbage import look_seldom
from engine.load import OnPulse
from engine.observer import Observer
from engine.vllm import warm_up
from engine.vllm.adapters import LoadedAdapters
from engine.vllm.arguments import engine_arguments, parse
from engine.vllm.client import EngineClient, build
from engine.vllm.responses import Track
from engine.vllm.serving import Serving

# Prompts that the engine has at hand, in steps, and how many times as many while none waits there;
# more would wait where nobody is fair.
_AHEAD = 8, 4
# A CPU reads several prompts no faster together than one after the other, also what is in the
# prefix cache, and whoever is in the middle of an answer waits for all that a step reads.
_AHEAD_ON_CPU = 1, 1
_LEAST_WAITING = 256


class Model:
    """The engine client and its serving objects. Its coroutines belong to the event loop."""

    def __init__(
        self,
        client: EngineClient,
        arguments: argparse.Namespace,
        config: EngineConfig,
        *,
        track: Track,
        scratch: Path,
        observer: Observer,
    ) -> None:
        self._track = track
        self._client = client
        self._arguments = arguments
        self._config = config
        self._observer = observer
        self._serving: Serving | None = None
        self._adapters = LoadedAdapters(
            client, config.served_names, config.utility_timeout_s, observer
        )
        self._library: Library | None = None
        if config.adapters is not None:
            self._library = Library(config.adapters, self._adapters, scratch, observer)

    @classmethod
    def load(
        cls,
        config: EngineConfig,
        on_pulse: OnPulse,
        track: Track,
        scratch: Path,
        observer: Observer,
    ) -> "Model":
        """Start the engine; blocks for as long as the model loads.

        `on_pulse` is called when the engine shows that it works; `track` counts work in flight;
        `observer` is told what happens; copies of adapters go to `scratch`.

        Raises:
            EngineArgumentsError: vLLM does not understand the engine arguments.
            Exception: whatever vLLM raises when the engine does not come up.
        """
        arguments = parse(config)
        client = build(engine_arguments(arguments), on_pulse)
        return cls(client, arguments, config, track=track, scratch=scratch, observer=observer)

    @property
    def serving(self) -> Serving:
        """The serving objects; there are none before `attach`."""
        assert self._serving is not None  # Engine asks after WARMING only
        return self._serving

    async def attach(self) -> None:
        """Bind the client to this event loop and build the serving objects."""
        deadline_s = self._config.utility_timeout_s
        # vLLM starts to listen to its engine with the first utility call: a death before that
        # would go unnoticed (comment in AsyncMPClient.__init__).
        tasks = await asyncio.wait_for(self._client.get_supported_tasks(), deadline_s)
        await asyncio.wait_for(self._client.reset_mm_cache(), deadline_s)
        if self._library is not None:
            await self._library.look()
        options = self._config.adapters
        # In a thread: probes are answered while parsers are imported and templates compiled.
        self._serving = await asyncio.to_thread(
            Serving,
            self._client,
            self._arguments,
            tuple(tasks),
            self._config,
            self._track,
            adapters=self._adapters,
            library=self._library if options is not None and options.has_api else None,
            observer=self._observer,
        )

    async def load_adapters(self) -> None:
        """Load the adapters that have not changed since `attach` looked at them."""
        if self._library is not None:
            await self._library.look()

    async def keep_adapters(self) -> None:
        """Follow the directory of adapters, and free the engine of what is gone; never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._adapters.free())
            if self._library is not None:
                tasks.create_task(self._library.watch())

    async def warm_up(self) -> None:
        """Prove that the engine works end to end, and let it make what it makes lazily."""
        await warm_up.prove(self._client, self.serving)
        await warm_up.hurry(self._client, self.serving)
        # vLLM reads several variables of the environment for each request and each step.
        enable_envs_cache()
        look_seldom()

    async def ping(self) -> None:
        """Return when the engine core and every worker have answered."""
        deadline_s = self._config.utility_timeout_s
        await asyncio.wait_for(self._client.collective_rpc("check_health"), deadline_s)

    def room(self) -> Room:
        """What the engine holds."""
        vllm_config, rules = self._client.vllm_config, self._config.admission
        scheduler, replicas = vllm_config.scheduler_config, vllm_config.parallel_config
        engines = replicas.data_parallel_size
        # As many again as it runs are at hand when one ends, or short ones would leave it idle.
        requests = 2 * scheduler.max_num_seqs * engines
        is_cpu = vllm_config.device_config.device_type == "cpu"
        steps, more = _AHEAD_ON_CPU if is_cpu else _AHEAD
        tokens = rules.queued_tokens or steps * scheduler.max_num_batched_tokens * engines
        # Of what is read at once, because its beginning is in the prefix cache, there may be more.
        most_tokens = rules.queued_tokens or more * tokens
        client, unread = self._client, self._client.unread

        def has_room_for(more: int) -> bool:
            if client.sequences + more >= requests:
                return False
            nothing_waits = not any(client.queued.values())
            return unread.tokens < (most_tokens if nothing_waits else tokens)

        return Room(
            waiting=max(_LEAST_WAITING, 2 * requests) if rules.waiting is None else rules.waiting,
            wait_s=rules.wait_s,
            honours_priority=scheduler.policy == "priority",
            has_room_for=has_room_for,
        )

    @property
    def errored(self) -> bool:
        """Whether vLLM itself knows that the engine is dead."""
        return self._client.errored

    def process_ids(self) -> tuple[int, ...]:
        """Ids of the engine core processes."""
        return self._client.process_ids()

    def exit_code(self, pid: int) -> int | None:
        """How one of them ended, negative for a signal; None if that is not known."""
        return self._client.exit_code(pid)

    def refuse_all(self, error: EngineError) -> None:
        """Admit nothing more, and answer every open request with `error`."""
        self._client.failure = error
        self._adapters.give_up(error)
        self._client.end_all(error)

    async def shutdown(self, timeout_s: float) -> None:
        """End the engine's processes; takes up to about `timeout_s`."""
        if self._client.output_handler is not None:
            # It would take the end of the engine for a failure, and log it as one.
            self._client.output_handler.cancel()
        await call_in_daemon_thread(
            lambda: self._client.shutdown(timeout=timeout_s), "engine-shutdown"
        )
