"""`AsyncLLM` as unigate needs it: generations with an owner, a pulse, failure."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.output_processor import RequestOutputCollector
from vllm.v1.engine.parallel_sampling import ParentRequest
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import SchedulerStats

from engine import processes
from engine.account import account, cache_salt
from engine.errors import EngineError
from engine.load import Load, OnPulse
from engine.vllm.added_requests import tell_of_requests
from engine.vllm.engine_socket import talk_directly
from engine.vllm.generation import Generation, created
from engine.vllm.handed_over import note
from engine.vllm.metering import meter
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.prompt_ends import begin_behind_end
from engine.vllm.sampling_room import check_room
from engine.vllm.single_tokens import remember_single_tokens
from engine.vllm.statistics import StepStatLogger
from engine.vllm.step_outputs import StepOutputs
from engine.vllm.unread import Unread

# Kinds of prompts whose keys and values may be used again.
_CACHED = ("token", "embeds", "multimodal")
# How long the news of a process's end may take from the fork server to this process.
_NEWS_S = 0.2


class EngineClient(AsyncLLM):
    """The client side of the engine; lives on the event loop once it is built."""

    _steps: StepOutputs | None = None
    failure: EngineError | None = None
    """Set once the engine is given up: nothing is admitted any more."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As vLLM's."""
        self._plain = PlainTokens()
        self.unread = Unread()
        self.queued: dict[int, int] = {}
        """Requests that each engine had not begun with, when it last said so."""

        super().__init__(*arguments, **options)
        tell_of_requests(self.output_processor, meter, note, begin_behind_end)
        self.output_processor.tokenizer = remember_single_tokens(self.output_processor.tokenizer)
        core = self.engine_core
        assert isinstance(core, AsyncMPClient)  # vLLM makes no other for a server
        self._steps = StepOutputs(self, core, self._plain, self.unread)
        talk_directly(core, self._steps)

    def generate(  # type: ignore[override]  # a Generation where vLLM has an async generator
        self, prompt: Any, sampling_params: SamplingParams, request_id: str, **options: Any
    ) -> Generation:
        """Prepare a generation; it reaches the engine when admitted or first read."""

        async def add() -> RequestOutputCollector:
            check_room(sampling_params, self.input_processor.tokenizer)
            return await self.add_request(request_id, _booked(prompt), sampling_params, **options)

        return self._prepare(add, request_id, _length(prompt))

    def encode(  # type: ignore[override]  # as above
        self, prompt: Any, pooling_params: PoolingParams, request_id: str, **options: Any
    ) -> Generation:
        """The same for a model that pools: its one output is what there is to read."""

        async def add() -> RequestOutputCollector:
            return await self.add_request(request_id, _booked(prompt), pooling_params, **options)

        return self._prepare(add, request_id, _length(prompt))

    def repeat(self, request: EngineCoreRequest, request_id: str, text: str) -> Generation:
        """The same for a request that needs no more than an id to be one that the engine takes.

        It is the engine's from here on; `text` is its prompt.
        """

        async def add() -> RequestOutputCollector:
            if self.errored:
                raise EngineDeadError
            # As InputProcessor.process_inputs and assign_request_id would.
            request.external_req_id = request_id
            request.request_id = f"{request_id}-{os.urandom(4).hex()}"
            request.arrival_time -= _waited_s()
            request.cache_salt = cache_salt() or None
            self._run_output_handler()
            queue = RequestOutputCollector(request.params.output_kind, request.request_id)
            await self._add_each(request, text, queue)
            return queue

        return self._prepare(add, request_id, len(request.prompt_token_ids or ()))

    def _run_output_handler(self) -> None:
        """In place of vLLM's, for each request; vLLM may call it before there is all it needs."""
        if self.output_handler is None and self._steps is not None:
            self.output_handler = asyncio.ensure_future(self._steps.handle())

    async def _add_each(
        self, request: EngineCoreRequest, text: str, queue: RequestOutputCollector
    ) -> None:
        """A request for each answer, as AsyncLLM.add_request adds them.

        All are known before one is sent: the first may have ended before the last is under way.
        """
        answers = request.params.n  # type: ignore[union-attr]  # of a model that generates
        if answers == 1:
            await self._add_request(request, text, None, 0, queue)
            return
        self.check_admission(answers, request.request_id)
        parent = ParentRequest(request)
        each = [copy(request) for _ in range(answers)]
        for index, mine in enumerate(each):
            mine.request_id, mine.sampling_params = parent.get_child_info(index)
        try:
            for index, mine in enumerate(each):
                self.output_processor.add_request(mine, text, parent, index, queue)
            for mine in each:
                await self.engine_core.add_request_async(mine)
        except BaseException:
            await self.abort(parent.request_id, internal=True)
            raise

    def _prepare(
        self, add: Callable[[], Awaitable[RequestOutputCollector]], request_id: str, tokens: int
    ) -> Generation:
        async def admit() -> RequestOutputCollector:
            if self.failure is not None:
                raise self.failure
            self.unread.add(request_id, tokens)
            try:
                queue = await add()
            except BaseException:
                self.unread.remove(request_id)
                raise
            mine = account.get(None)
            if mine is not None and mine.ticket is not None:
                mine.ticket.hand_over()
            return queue

        async def abort(internal_id: str | None) -> None:
            # Our own id serves too, since no other request has it (Serving makes it at random).
            await self.abort(internal_id or request_id, internal=internal_id is not None)

        states = self.output_processor.request_states
        on_close = partial(self.unread.remove, request_id)
        generation = Generation(admit, abort, states.get, self._plain, on_close)
        mine = created.get(None)
        if mine is not None:
            mine.append(generation)
        return generation

    def end_all(self, error: EngineError) -> None:
        """Answer every open request with `error`, now; each one aborts itself in the engine."""
        self.output_processor.propagate_error(error)

    @property
    def sequences(self) -> int:
        """Answers that the engine works on, or has in its queue."""
        return len(self.output_processor.request_states)

    def process_ids(self) -> tuple[int, ...]:
        """Ids of the engine core processes that this process started."""
        return tuple(process.pid for process in self._processes() if process.pid)

    def exit_code(self, pid: int) -> int | None:
        """How a process of the engine ended, negative for a signal; None if nobody here knows."""
        for process in self._processes():
            if process.pid == pid:
                # Whoever started it is told first, and passes it on.
                process.join(_NEWS_S)
                return process.exitcode
        return processes.exit_code(pid)

    def _processes(self) -> Sequence[BaseProcess]:
        return getattr(self.engine_core.resources.engine_manager, "processes", ())


def _booked(prompt: Any) -> Any:
    """The prompt, whose cached blocks only requests of the same account can use.

    It has arrived when its client has sent it, and not when it was let in.
    """
    salt, waited_s = cache_salt(), _waited_s()
    if salt and prompt.get("type") in _CACHED:
        prompt = {**prompt, "cache_salt": salt + prompt.get("cache_salt", "")}
    if waited_s and "arrival_time" in prompt:
        prompt = {**prompt, "arrival_time": prompt["arrival_time"] - waited_s}
    return prompt


def _waited_s() -> float:
    mine = account.get(None)
    return 0.0 if mine is None else mine.waited_s


def _length(prompt: Any) -> int:
    return len(prompt.get("prompt_token_ids") or ())


def build(arguments: AsyncEngineArgs, on_pulse: OnPulse) -> EngineClient:
    """Start the engine and wait for it; blocks for as long as the model loads.

    `on_pulse` is called on the event loop for each step the engine reports.
    """
    queued: dict[int, int] = {}

    class Pulse(StatLoggerBase):
        """vLLM tells its statistics loggers about every step: the proof that there was one."""

        def __init__(self, vllm_config: VllmConfig, engine_index: int = 0) -> None:
            del vllm_config, engine_index

        def record(
            self, scheduler_stats: SchedulerStats | None, *_: Any, engine_idx: int = 0, **__: Any
        ) -> None:
            it = scheduler_stats
            load = None if it is None else Load(it.kv_cache_usage, it.num_waiting_reqs)
            if load is not None:
                queued[engine_idx] = load.waiting
            on_pulse(engine_idx, load)

        def log_engine_initialized(self) -> None:
            pass

    client = EngineClient.from_engine_args(
        arguments,
        usage_context=UsageContext.OPENAI_API_SERVER,
        stat_loggers=[Pulse, StepStatLogger],
    )
    assert isinstance(client, EngineClient)  # from_engine_args is typed AsyncLLM
    client.queued = queued
    return client
