"""A step's outputs from the engine's socket to the wires, through vLLM's client; no engine."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq
import zmq.asyncio
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason, UtilityOutput
from vllm.v1.engine.core import EngineCoreProc
from vllm.v1.engine.core_client import AsyncMPClient, BackgroundResources
from vllm.v1.metrics.stats import PrefillStats, SchedulerStats
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder, UtilityResult

from engine.vllm.engine_socket import talk_directly
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.step_outputs import StepOutputs
from engine.vllm.unread import Unread
from tests.support.stepped_engine import TEXT, Engine, Wire, begin

CHUNK = 4
"""Outputs that are processed in a turn that has no time."""


class Queue(asyncio.Queue[Any]):
    puts = 0

    def put_nowait(self, item: Any) -> None:
        self.puts += 1
        super().put_nowait(item)


class Core(AsyncMPClient):
    """vLLM's client as far as it receives."""

    def __init__(self, address: str) -> None:
        self.resources: Any = SimpleNamespace(output_queue_task=None, engine_dead=False)
        judge: Any = BackgroundResources.validate_alive
        self.resources.validate_alive = partial(judge, self.resources)
        self.resources.output_socket = zmq.asyncio.Context.instance().socket(zmq.PULL)
        self.resources.output_socket.bind(address)
        self.input_socket: Any = None
        self.decoder = MsgpackDecoder(EngineCoreOutputs)
        self.utility_results = {}
        self.outputs_queue = Queue()
        self.aborted: list[str] = []

    async def abort_requests_async(self, request_ids: list[str]) -> None:
        self.aborted += request_ids


class Logger:
    def __init__(self) -> None:
        self.recorded: list[tuple[int, int]] = []

    def record(self, *, scheduler_stats: Any, iteration_stats: Any, **_: Any) -> None:
        tokens = iteration_stats.num_generation_tokens if iteration_stats else 0
        self.recorded.append((scheduler_stats.num_running_reqs, tokens))


class Client:
    """As much of `AsyncLLM` as handles outputs."""

    log_stats = True

    def __init__(self, engine: Engine) -> None:
        self.output_processor = engine.processor
        self.renderer = SimpleNamespace(mm_processor_cache=None, stat_mm_cache=lambda: None)
        self.logger_manager = Logger()


class Way:
    """All of it, for requests that are generated for by whoever calls."""

    def __init__(
        self, demo: Path, address: str, requests: int, turn_s: float = 0.0, **params: Any
    ) -> None:
        plain = PlainTokens()
        first = Engine(demo, name="r0", plain=plain, **params)
        options = {"plain": plain, "processor": first.processor, **params}
        others = [Engine(demo, name=f"r{number}", **options) for number in range(1, requests)]
        self.engines = [first, *others]
        self.wires = [Wire() for _ in self.engines]
        self.core: Any = Core(address)
        client: Any = Client(first)
        self.client = client
        self.unread = Unread()
        self.taker = StepOutputs(client, self.core, plain, self.unread, turn_s)
        talk_directly(self.core, self.taker)
        self.handling = asyncio.ensure_future(self.taker.handle())
        self.socket = zmq.asyncio.Context.instance().socket(zmq.PUSH)
        self.socket.connect(address)
        self.encoder = MsgpackEncoder()
        self.running: list[asyncio.Task[None]] = []
        self.steps = 0

    async def open(self) -> None:
        for engine, wire in zip(self.engines, self.wires, strict=True):
            self.running.append(await begin(await engine.open(), wire))

    async def send(self, outputs: EngineCoreOutputs) -> None:
        await self.socket.send_multipart(self.encoder.encode(outputs))

    async def step(
        self, *tokens: int, reason: FinishReason | None = None, only: int | None = None
    ) -> None:
        """The same for all requests, or for so many."""
        await self.send(self.outputs(*tokens, reason=reason, only=only))

    def outputs(
        self, *tokens: int, reason: FinishReason | None = None, only: int | None = None
    ) -> EngineCoreOutputs:
        self.steps += 1
        outputs = [
            EngineCoreOutput(engine.name, list(tokens), finish_reason=reason)
            for engine in self.engines[:only]
        ]
        load = SchedulerStats(num_running_reqs=self.steps)
        return EngineCoreOutputs(outputs=outputs, scheduler_stats=load)

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path / 'outputs'}"


def run(way: Callable[[], Way], scenario: Callable[[Way], Coroutine[Any, Any, None]]) -> None:
    async def with_way() -> None:
        it = way()
        try:
            await it.open()
            await asyncio.wait_for(scenario(it), 20)
        finally:
            for task in [*it.running, it.handling, it.core.resources.output_queue_task]:
                task.cancel()
            it.socket.close(0)
            it.core.resources.output_socket.close(0)

    asyncio.run(with_way())


@pytest.mark.parametrize("requests", [2, CHUNK, 3 * CHUNK])
def test_all_text_arrives_and_every_step_is_counted_once(
    demo: Path, address: str, requests: int
) -> None:
    async def scenario(it: Way) -> None:
        ids = it.engines[0].ids(TEXT * 2)
        for token in ids:
            await it.step(token)
        await it.step(reason=FinishReason.LENGTH)
        await asyncio.gather(*it.running)
        assert [wire.text() for wire in it.wires] == [TEXT * 2] * requests
        assert [wire.frames()[-1]["reason"] for wire in it.wires] == ["length"] * requests
        steps = len(ids)
        await it.until(lambda: len(it.client.logger_manager.recorded) == steps + 1)
        recorded = it.client.logger_manager.recorded
        assert recorded == [(number + 1, requests) for number in range(steps)] + [(steps + 1, 0)]

    run(lambda: Way(demo, address, requests), scenario)


def test_a_step_of_tokens_waits_for_nobody(demo: Path, address: str) -> None:
    async def scenario(it: Way) -> None:
        for token in it.engines[0].ids(TEXT):
            await it.step(token)
        await it.until(lambda: it.wires[-1].text() == TEXT)
        puts = it.core.outputs_queue.puts
        assert puts > 0  # the first outputs are vLLM's to process, and too many for one turn
        for token in it.engines[0].ids(TEXT):
            await it.step(token)
        await it.until(lambda: it.wires[-1].text() == TEXT * 2)
        assert it.core.outputs_queue.puts == puts

    run(lambda: Way(demo, address, 2 * CHUNK), scenario)


def test_a_step_that_a_turn_has_time_for_waits_for_nobody(demo: Path, address: str) -> None:
    async def scenario(it: Way) -> None:
        await it.step(it.engines[0].ids(TEXT)[0])
        await it.until(lambda: it.wires[-1].text() == TEXT[0])
        assert it.core.outputs_queue.puts == 0

    run(lambda: Way(demo, address, 3 * CHUNK, turn_s=60), scenario)


def test_a_step_that_is_processed_in_parts_is_counted_once_and_not_overtaken(
    demo: Path, address: str
) -> None:
    async def scenario(it: Way) -> None:
        ids = it.engines[0].ids(TEXT)
        for token in ids:
            await it.step(token, only=2)
        await it.until(lambda: it.wires[0].text() == TEXT)
        frames = [zmq.Frame(part) for part in it.encoder.encode(it.outputs(ids[0]))]
        assert it.taker.take(frames)  # its plain tokens
        it.taker.end_turn()
        assert it.wires[0].text() == TEXT + TEXT[0]
        while not it.wires[2].text():  # noqa: ASYNC110  # turn by turn
            await asyncio.sleep(0)
        assert not it.wires[-1].text()
        frames = [zmq.Frame(part) for part in it.encoder.encode(it.outputs(ids[1]))]
        assert not it.taker.take(frames)
        await it.until(lambda: bool(it.wires[-1].text()))
        assert it.client.logger_manager.recorded[-1] == (len(ids) + 1, len(it.engines))
        assert [wire.text() for wire in it.wires[2:]] == [TEXT[0]] * 3 * CHUNK

    run(lambda: Way(demo, address, 2 + 3 * CHUNK), scenario)


def test_an_answer_to_another_question_comes_in_between(demo: Path, address: str) -> None:
    async def scenario(it: Way) -> None:
        answer = asyncio.get_running_loop().create_future()
        it.core.utility_results[7] = answer
        first, *others = it.engines[0].ids(TEXT)
        await it.step(first)
        result: Any = UtilityResult(None)
        await it.send(EngineCoreOutputs(utility_output=UtilityOutput(7, result=result)))
        for token in others:
            await it.step(token)
        assert await answer is None
        await it.until(lambda: it.wires[0].text() == TEXT)

    run(lambda: Way(demo, address, 1), scenario)


@pytest.mark.parametrize("requests", [1, 2 * CHUNK])
def test_the_engine_is_told_whose_text_has_ended(demo: Path, address: str, requests: int) -> None:
    async def scenario(it: Way) -> None:
        for token in it.engines[0].ids(TEXT):
            await it.step(token)
        await asyncio.gather(*it.running)
        assert {wire.text() for wire in it.wires} == {TEXT[: TEXT.index("and then")]}
        await it.until(lambda: len(it.core.aborted) == requests)
        assert set(it.core.aborted) == {engine.name for engine in it.engines}

    run(lambda: Way(demo, address, requests, stop=["and then"]), scenario)


def test_a_step_that_cannot_be_processed_ends_all_requests(demo: Path, address: str) -> None:
    async def scenario(it: Way) -> None:
        del it.engines[0].processor.request_states["r0"].detokenizer
        await it.step(5)
        done = await asyncio.gather(*it.running, return_exceptions=True)
        assert all(isinstance(error, Exception) for error in done)
        await it.handling  # it is over, which the watchdog sees

    run(lambda: Way(demo, address, 2), scenario)


@pytest.mark.parametrize("message", [EngineCoreProc.ENGINE_CORE_DEAD, b"nonsense"])
def test_the_end_of_the_engine_is_told_to_all_requests(
    demo: Path, address: str, message: bytes
) -> None:
    async def scenario(it: Way) -> None:
        await it.step(it.engines[0].ids(TEXT)[0])
        await it.socket.send(message)
        done = await asyncio.gather(*it.running, return_exceptions=True)
        assert all(isinstance(error, Exception) for error in done)
        assert it.core.resources.engine_dead is (message != b"nonsense")
        await it.handling
        frames = [zmq.Frame(part) for part in it.encoder.encode(it.outputs(5))]
        assert not it.taker.take(frames)  # nobody is left to tell what becomes of it

    run(lambda: Way(demo, address, 2), scenario)


@pytest.mark.parametrize("n", [1, 2])
def test_a_prompt_is_read_with_its_first_output_whoever_reads_that(
    demo: Path, address: str, n: int
) -> None:
    async def scenario(way: Way) -> None:
        for engine in way.engines:
            way.unread.add(f"external-{engine.name}", 100)
        outputs = way.outputs(5)
        (first, _) = outputs.outputs
        first.prefill_stats = PrefillStats()
        if n > 1:
            first.request_id = f"1_{first.request_id}"
        await way.send(outputs)
        await way.until(lambda: bool(way.client.logger_manager.recorded))
        assert way.unread.tokens == 100

    run(lambda: Way(demo, address, requests=2, n=n), scenario)
