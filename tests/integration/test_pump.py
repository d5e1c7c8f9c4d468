"""Frames from the engine's outputs to the wire, through vLLM's output processor; no engine."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest
from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
)
from vllm.parser import DelegatingParser, Parser
from vllm.v1.engine import FinishReason

from engine.errors import GenerationFailedError
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.pump import Pump
from engine.vllm.refusals import EndedEarlyError
from engine.vllm.shortcut import PlainFrame
from engine.vllm.steady import steady
from tests.support.answers import tokenizer
from tests.support.stepped_engine import TEXT, Engine, Wire, begin, completions, run, turn


@pytest.fixture
def engine(demo: Path) -> Engine:
    return Engine(demo)


async def streamed(engine: Engine, text: str) -> Wire:
    """Each token in a turn of its own, to the end."""
    wire, pump = Wire(), await engine.open()
    running = await begin(pump, wire)
    await engine.feed(engine.ids(text))
    engine.step(reason=FinishReason.STOP)
    await running
    return wire


@pytest.mark.parametrize("tokens_at_once", [1, 3])
@pytest.mark.parametrize("steps_in_a_turn", [1, 5])
def test_all_text_arrives_and_all_tokens_are_counted(
    engine: Engine, tokens_at_once: int, steps_in_a_turn: int
) -> None:
    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        ids = engine.ids(TEXT * 3)
        for number, start in enumerate(range(0, len(ids), tokens_at_once)):
            last = start + tokens_at_once >= len(ids)
            reason = FinishReason.LENGTH if last else None
            engine.step(*ids[start : start + tokens_at_once], reason=reason)
            if number % steps_in_a_turn == 0:
                await turn()
        await running
        *frames, last_frame = wire.frames()
        assert wire.text() == TEXT * 3
        assert last_frame["reason"] == "length"
        assert last_frame["tokens"] == len(ids)
        assert all(frame.keys() == {"text"} for frame in frames)
        # vLLM's generator has made two frames that tell what all are like, and the last.
        assert engine.times_read <= 5
        if steps_in_a_turn > 1:
            assert len(frames) < len(ids) / tokens_at_once / 2

    run(scenario)


def test_what_has_more_in_it_than_text_is_made_by_vllm(demo: Path) -> None:
    # Its own count of what it has read differs from frame to frame.
    engine = Engine(demo)

    async def counted() -> AsyncGenerator[str]:
        async for output in engine.generation:
            engine.times_read += 1
            text = completions(output)[0].text
            yield orjson.dumps({"text": text, "n": engine.times_read}).decode() + "\n\n"

    async def scenario() -> None:
        await engine.generation.admit()
        wire, pump = Wire(), Pump(counted(), engine.generation)
        running = await begin(pump, wire)
        ids = engine.ids(TEXT)
        await engine.feed(ids)
        engine.step(reason=FinishReason.STOP)
        await running
        assert wire.text() == TEXT
        assert [frame["n"] for frame in wire.frames()] == list(range(1, len(ids) + 2))

    run(scenario)


def test_a_frame_that_is_known_is_not_learned(engine: Engine) -> None:
    engine.generation.frame = PlainFrame(b'{"text":', b"}\n\n")
    engine.generation.gates = None  # nobody is asked

    async def scenario() -> None:
        assert (await streamed(engine, TEXT)).text() == TEXT
        assert engine.tokens == len(engine.ids(TEXT))
        assert engine.times_read == 2

    run(scenario)


@pytest.mark.parametrize("room", [6, 1_000_000], ids=["slow reader", "quick reader"])
def test_each_of_several_choices_goes_its_short_way(demo: Path, room: int) -> None:
    engine = Engine(demo, n=3)
    texts = [TEXT * 2, TEXT * 3, "Short.\n" + TEXT]
    ids = [engine.ids(text) for text in texts]

    async def scenario() -> None:
        wire, pump = Wire(room), await engine.open()
        running = await begin(pump, wire)
        for step in range(max(map(len, ids))):
            for choice, tokens in enumerate(ids):
                if step < len(tokens):
                    last = step == len(tokens) - 1
                    reason = FinishReason.LENGTH if last else None
                    engine.step(tokens[step], reason=reason, choice=choice)
            await turn()
        wire.room = 1_000_000
        wire.is_read.set()
        await running
        assert [wire.text(choice) for choice in range(3)] == texts
        frames = wire.frames()
        assert sorted(frame.get("choice", 0) for frame in frames if "reason" in frame) == [0, 1, 2]
        assert engine.tokens == sum(map(len, ids))
        # Of each, the two that tell what all are like, the last, and the empty ones between.
        assert engine.times_read <= 3 * 5

    run(scenario)


def test_a_choice_that_a_parser_reads_holds_up_no_other(demo: Path) -> None:
    engine = Engine(demo, n=2)
    engine.generation.gates = [lambda: False, lambda: True]
    ids = engine.ids(TEXT)

    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        for token in ids:
            engine.step(token, choice=0)
            engine.step(token, choice=1)
            await turn()
        engine.step(reason=FinishReason.STOP, choice=0)
        engine.step(reason=FinishReason.STOP, choice=1)
        await running
        assert wire.text(0) == wire.text(1) == TEXT
        assert len(ids) + 1 < engine.times_read <= len(ids) + 1 + 5

    run(scenario)


def test_a_parser_in_the_way_sees_every_output(engine: Engine) -> None:
    async def scenario() -> None:
        engine.generation.gates = [lambda: engine.times_read > 20]
        assert (await streamed(engine, TEXT * 4)).text() == TEXT * 4
        assert 20 < engine.times_read <= 26

    run(scenario)


def test_frames_of_which_nobody_says_that_text_passes_are_all_vllms(engine: Engine) -> None:
    engine.generation.gates = None

    async def scenario() -> None:
        await streamed(engine, TEXT)
        assert engine.times_read == len(engine.ids(TEXT)) + 1

    run(scenario)


def test_frames_with_tokens_in_them_are_vllms_also_where_tokens_repeat(demo: Path) -> None:
    # One letter is held back, so the text of a comma comes with the token behind it.
    engine = Engine(demo, stop=["zz"])

    async def with_tokens() -> AsyncGenerator[str]:
        async for output in engine.generation:
            (completion,) = completions(output)
            frame = {"text": completion.text, "ids": list(completion.token_ids)}
            yield orjson.dumps(frame).decode() + "\n\n"

    async def scenario() -> None:
        await engine.generation.admit()
        wire, pump = Wire(), Pump(with_tokens(), engine.generation)
        running = await begin(pump, wire)
        ids = engine.ids("a, b, c, d, e, f, g")
        await engine.feed(ids)
        engine.step(reason=FinishReason.LENGTH)
        await running
        assert [token for frame in wire.frames() for token in frame["ids"]] == ids

    run(scenario)


def test_a_stream_that_cannot_be_written_fails_alone(demo: Path) -> None:
    class Broken(Wire):
        def write(self, *frames: bytes) -> bool:
            if len(self.pieces) > 3:
                raise RuntimeError("The wire is broken.")
            return super().write(*frames)

    async def scenario() -> None:
        shared = PlainTokens()
        engines = [Engine(demo, name=name, plain=shared) for name in "ab"]
        wires = [Broken(), Wire()]
        running = [
            asyncio.ensure_future((await engine.open()).run(wire))
            for engine, wire in zip(engines, wires, strict=True)
        ]
        await turn()
        for token in engines[0].ids(TEXT):
            for engine in engines:
                engine.step(token)
            await turn()
        with pytest.raises(RuntimeError, match="broken"):
            await running[0]
        assert wires[1].text() == TEXT
        engines[1].step(reason=FinishReason.STOP)
        await running[1]

    run(scenario)


def test_what_vllm_counts_is_the_same(demo: Path) -> None:
    async def scenario() -> None:
        usual, short = Engine(demo), Engine(demo)
        usual.generation.gates = None
        counted = []
        for engine in (usual, short):
            running = await begin(await engine.open(), Wire())
            await engine.feed(engine.ids(TEXT))
            state = engine.processor.request_states["id"]
            engine.step(*engine.ids("new"), version="2")
            engine.step(*engine.ids("old again"), version="1")
            engine.step(*engine.ids("new"), version="2")
            engine.step(*engine.ids("weights"), version="2", reason=FinishReason.STOP)
            await running
            latencies_s = [stats.inter_token_latencies_iter for stats in engine.stats]
            tokens = [stats.num_generation_tokens for stats in engine.stats]
            mine = vars(state.stats) | {"arrival_time": 0, "first_token_latency": 0}
            versions = state.weight_version_starts
            counted.append((latencies_s, tokens, mine, versions, engine.tokens))
        assert usual.times_read > 10 > short.times_read
        assert counted[0] == counted[1]

    run(scenario)


class Usual(DelegatingParser):
    pass


class Own(DelegatingParser):
    def parse_delta(self, *arguments: Any, **options: Any) -> DeltaMessage | None:
        return super().parse_delta(*arguments, **options)


@pytest.mark.parametrize(("kind", "passes"), [(Usual, True), (Own, False)])
def test_a_parser_with_a_way_of_its_own_lets_no_text_past_it(
    kind: type[Parser], passes: bool
) -> None:
    parser: Any = steady(kind)
    request = ChatCompletionRequest.model_validate({"messages": [{"role": "user", "content": "?"}]})
    assert parser(tokenizer(()), None).passes_text(request) is passes


def test_a_stop_string_is_held_back_and_not_sent(demo: Path) -> None:
    engine = Engine(demo, stop=["and then"])

    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        await engine.feed(engine.ids(TEXT))
        await running
        assert wire.text() == TEXT[: TEXT.index("and then")]
        assert wire.frames()[-1]["reason"] == "stop"

    run(scenario)


@pytest.mark.parametrize("ends", [False, True], ids=["in the middle", "at the end"])
def test_a_slow_reader_gets_everything_and_nothing_is_written_while_it_is_slow(
    engine: Engine, ends: bool
) -> None:
    async def scenario() -> None:
        wire, pump = Wire(room=6), await engine.open()
        running = await begin(pump, wire)
        *ids, last = engine.ids(TEXT * 5)
        await engine.feed(ids)
        if ends:
            engine.step(last, reason=FinishReason.LENGTH)
            await turn()
        assert len(wire.pieces) == 6
        wire.room = 1_000_000
        wire.is_read.set()
        await turn()
        if not ends:
            engine.step(last, reason=FinishReason.LENGTH)
        await running
        assert wire.text() == TEXT * 5
        assert wire.frames()[-1]["tokens"] == len(ids) + 1

    run(scenario)


@pytest.mark.parametrize("read", [0, 1, 10])
def test_an_engine_that_fails_ends_the_stream_with_its_error(engine: Engine, read: int) -> None:
    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        await engine.feed(engine.ids(TEXT)[:read])
        engine.processor.propagate_error(GenerationFailedError("It broke."))
        with pytest.raises(EndedEarlyError):
            await running
        assert TEXT.startswith(wire.text())
        await pump.aclose()
        assert engine.aborted == ["id"]

    run(scenario)


def test_a_client_that_leaves_in_the_moment_its_wire_is_full_has_left(engine: Engine) -> None:
    async def scenario() -> None:
        wire, pump = Wire(room=1), await engine.open()
        running = await begin(pump, wire)
        engine.step(*engine.ids("full"))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)

    run(scenario)


def test_an_answer_that_is_whole_when_its_time_is_over_stays_whole(engine: Engine) -> None:
    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        engine.step(*engine.ids("done"), reason=FinishReason.LENGTH)
        running.cancel()
        await running
        assert wire.text() == "done"

    run(scenario)


@pytest.mark.parametrize("read", [0, 1, 10])
def test_a_client_that_leaves_is_not_generated_for(engine: Engine, read: int) -> None:
    async def scenario() -> None:
        wire, pump = Wire(), await engine.open()
        running = await begin(pump, wire)
        for token in engine.ids(TEXT)[:read]:
            engine.step(token)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        written = len(wire.pieces)
        engine.step(*engine.ids("more"))
        await turn()
        await pump.aclose()
        await engine.generation.aclose()
        assert engine.aborted == ["id"]
        await turn()
        # The connection may be another answer's by now.
        assert len(wire.pieces) == written

    run(scenario)
