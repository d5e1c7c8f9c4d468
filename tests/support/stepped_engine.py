"""A request that is generated for by whoever calls, through vLLM's output processor; no engine."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from copy import copy
from pathlib import Path
from typing import Any

import orjson
from transformers import AutoTokenizer
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.engine.output_processor import OutputProcessor, RequestOutputCollector
from vllm.v1.engine.parallel_sampling import ParentRequest
from vllm.v1.metrics.stats import IterationStats

from engine.vllm.generation import Generation, Output
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.pump import Pump

TEXT = 'One "two"\tthree \\ four: ünï 漢字 🦊🦊, and then some more of it.\n'


class Wire:
    """What arrives at the client; room for as many pieces as it is told."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.pieces: list[bytes] = []
        self.is_read = asyncio.Event()

    def write(self, *frames: bytes) -> bool:
        self.pieces.append(b"".join(frames))
        return len(self.pieces) < self.room

    def write_around(self, head: bytes, middle: bytes, tail: bytes) -> bool:
        return self.write(head + middle + tail)

    async def drain(self) -> None:
        await self.is_read.wait()

    def frames(self) -> list[Any]:
        lines = b"".join(self.pieces).split(b"\n\n")
        assert lines.pop() == b""
        return [orjson.loads(line) for line in lines]

    def text(self, choice: int = 0) -> str:
        return "".join(frame["text"] for frame in self.frames() if frame.get("choice", 0) == choice)


class Engine:
    """A request that is generated for, step by step, by whoever calls."""

    def __init__(
        self,
        demo: Path,
        *,
        name: str = "id",
        plain: PlainTokens | None = None,
        processor: OutputProcessor | None = None,
        **params: Any,
    ) -> None:
        self.name = name
        tokenizer: Any = AutoTokenizer.from_pretrained(demo)
        self.tokenizer = tokenizer
        self.processor = processor or OutputProcessor(tokenizer, log_stats=True)
        sampling = SamplingParams(output_kind=RequestOutputKind.DELTA, **params)
        self.queue = RequestOutputCollector(RequestOutputKind.DELTA, name)
        self.request = EngineCoreRequest(
            request_id=name, prompt_token_ids=[1, 2], mm_features=None, sampling_params=sampling,
            pooling_params=None, arrival_time=time.time(), lora_request=None, cache_salt=None,
            data_parallel_rank=None, external_req_id=f"external-{name}",
        )  # fmt: skip
        self.aborted: list[str | None] = []
        self.times_read = 0

        async def admit() -> RequestOutputCollector:
            if sampling.n == 1:
                self.processor.add_request(self.request, None, queue=self.queue)
                return self.queue
            parent = ParentRequest(self.request)  # as AsyncLLM.add_request
            for index in range(sampling.n):
                child = copy(self.request)
                child.request_id, child.sampling_params = parent.get_child_info(index)
                self.processor.add_request(child, None, parent, index, queue=self.queue)
            return self.queue

        async def abort(request_id: str | None) -> None:
            self.aborted.append(request_id)
            self.processor.abort_requests([name], internal=True)

        self.plain = plain = plain or PlainTokens()
        states = self.processor.request_states
        self.generation = Generation(admit, abort, states.get, plain, lambda: None)
        self.generation.gates = []
        self.tokens = 0
        self.now_s = 0.0
        self.stats: list[IterationStats] = []

    async def _frames(self) -> AsyncGenerator[str]:
        async for output in self.generation:
            self.times_read += 1
            for completion in completions(output):
                self.tokens += len(completion.token_ids)
                frame: dict[str, Any] = {"text": completion.text}
                if completion.index:
                    frame["choice"] = completion.index
                if completion.logprobs is not None:
                    frame["logprobs"] = len(completion.logprobs)
                if completion.finish_reason is not None:
                    frame |= {"reason": completion.finish_reason, "tokens": self.tokens}
                yield orjson.dumps(frame).decode() + "\n\n"

    async def open(self) -> Pump:
        await self.generation.admit()
        return Pump(self._frames(), self.generation)

    def step(
        self,
        *tokens: int,
        reason: FinishReason | None = None,
        version: str = "1",
        choice: int | None = None,
    ) -> None:
        self.now_s += 0.1
        name = self.name if choice is None else f"{choice}_{self.name}"
        output = EngineCoreOutput(name, list(tokens), finish_reason=reason)
        self.stats.append(IterationStats())  # type: ignore[no-untyped-call]  # vLLM's
        rest = self.plain.take([output], self.now_s, self.stats[-1], version)
        self.processor.process_outputs(rest, self.now_s, self.stats[-1], version)

    async def feed(self, tokens: list[int]) -> None:
        """Each token in a step, and each step in a turn, of its own."""
        for token in tokens:
            self.step(token)
            await turn()

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


def completions(output: Output) -> list[CompletionOutput]:
    assert isinstance(output, RequestOutput)
    return output.outputs


async def turn() -> None:
    """Let what is due at the end of this turn of the loop happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def begin(pump: Pump, wire: Wire) -> asyncio.Task[None]:
    """Run the pump until it waits for the engine."""
    running = asyncio.ensure_future(pump.run(wire))
    await turn()
    return running


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def some_tokens(engine: Engine, chance: random.Random, number: int) -> list[int]:
    """Text, parts of letters, and whatever there is, special ones included."""
    letters = engine.ids("ünï 漢字 🦊🦊 �")
    anything = range(len(engine.tokenizer))
    found: list[int] = []
    while len(found) < number:
        found += engine.ids(TEXT[: chance.randrange(len(TEXT))])
        found += chance.choices(letters, k=chance.randrange(8))
        found += chance.choices(anything, k=chance.randrange(4))
    return found[-number:]


async def texts_after_each(engine: Engine, tokens: list[int]) -> list[str]:
    """What has arrived after each of these, each in a step and a turn of its own."""
    wire = Wire()
    running = await begin(await engine.open(), wire)
    texts = []
    for token in tokens:
        engine.step(token)
        await turn()
        texts.append(wire.text())
    running.cancel()
    return texts
