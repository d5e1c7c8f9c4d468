"""Events of a response that go past vLLM are vLLM's own, and those behind them; no engine."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseTextDeltaEvent
from vllm.entrypoints.generate.base.protocol import RequestResponseMetadata
from vllm.entrypoints.openai.responses.context import SimpleContext
from vllm.entrypoints.openai.responses.protocol import ResponsesRequest
from vllm.outputs import RequestOutput
from vllm.parser import ParserManager
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import FinishReason

from engine.vllm.generation import created
from engine.vllm.pump import Pump
from engine.vllm.refusals import EndedEarlyError
from engine.vllm.response_events import TextEvents, frames
from engine.vllm.responses import _Serving
from engine.vllm.steady import steady
from tests.support.stepped_engine import TEXT, Engine, Wire, begin, run, turn
from tests.support.weather import RESPONSES_TOOL

# What vLLM makes up for each item.
IDS = re.compile(rb"(msg|rs)_[0-9a-f]+")


class Read(SimpleContext):
    """vLLM's, which counts what it gets."""

    times = 0

    def append_output(self, output: RequestOutput) -> None:
        self.times += 1
        super().append_output(output)


class Streamed:
    """A response of which the tokens come from whoever calls."""

    def __init__(
        self, demo: Path, *, parsers: tuple[str | None, str | None] = (None, None), **fields: Any
    ) -> None:
        """`parsers` are those of calls and of thoughts."""
        self.request = ResponsesRequest(input="?", stream=True, store=False, **fields)
        self.request.request_id = "resp_1"
        params = self.request.to_sampling_params(1000)
        self.engine = Engine(demo, stop=params.stop, logprobs=params.logprobs)
        serving = object.__new__(_Serving)
        serving.parser = steady(
            ParserManager.get_parser(*parsers, True, tokenizer=self.engine.tokenizer)
        )
        serving.engine_client = SimpleNamespace(  # type: ignore[assignment]  # what is asked of it
            generate=lambda *_, **__: self.engine.generation
        )
        serving.model_config = None  # type: ignore[assignment]  # which parsers do without
        serving.use_harmony = serving.enable_log_outputs = False
        serving.tool_server = None
        serving.enable_per_request_metrics = False
        self._serving = serving
        parser = serving._make_response_parser(self.request, self.engine.tokenizer, {})
        self.context = Read(response_parser=parser)

    def events(self) -> AsyncGenerator[Any, None]:
        """vLLM's."""
        self.engine.generation.gates = None
        created.set([self.engine.generation])
        outputs = self._serving._generate_with_builtin_tools("1", None, None, self.context)
        return self._serving.responses_stream_generator(
            self.request, SamplingParams(), outputs, self.context, "m", self.engine.tokenizer,
            RequestResponseMetadata(request_id="1"), created_time=1,
        )  # fmt: skip

    async def sent(
        self,
        text: str,
        *,
        short: bool,
        at_once: int = 1,
        room: int = 1_000_000,
        slow_for: int = 1_000_000,
    ) -> bytes:
        """What arrives of this text, with `at_once` tokens in a turn; `short` if it may go past.

        There is `room` for so many pieces, until so many tokens have been made.
        """
        engine, wire = self.engine, Wire(room)
        await engine.generation.admit()
        pump = Pump(frames(self.events(), engine.generation if short else None), engine.generation)
        running = await begin(pump, wire)
        ids = engine.ids(text)
        for number, token in enumerate(ids):
            last = number == len(ids) - 1
            engine.step(token, reason=FinishReason.LENGTH if last else None)
            if number % at_once == 0:
                await turn()
            if last or number == slow_for:
                wire.room = 1_000_000
                wire.is_read.set()
                await turn()
        await running
        return IDS.sub(rb"\1_1", b"".join(wire.pieces))


def data_of(sent: bytes) -> list[Any]:
    return [orjson.loads(frame.partition(b"\ndata: ")[2]) for frame in sent.split(b"\n\n")[:-1]]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2),
    number=st.integers(0, 10**9),
)
def test_the_next_event_is_vllms_own_for_every_text_and_number(
    texts: list[str], number: int
) -> None:
    vllms = [
        ResponseTextDeltaEvent(
            type="response.output_text.delta", content_index=0, output_index=1, item_id="msg_7919",
            delta=text, sequence_number=number + index, logprobs=[],
        )
        for index, text in enumerate(texts)
    ]  # fmt: skip
    first, *others = vllms
    sent = TextEvents.behind(first)
    for event in others:
        frame = sent.head + sent.middle(event.delta) + sent.tail
        assert frame.decode() == f"event: {event.type}\ndata: {event.model_dump_json()}\n\n"


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stop": {"stop": ["##"]},
    "reasoning": {"parsers": ("hermes", "qwen3")},
    "no tools": {"parsers": ("hermes", None)},
    "no calls": {"parsers": ("hermes", None), "tools": [RESPONSES_TOOL], "tool_choice": "none"},
    "messages": {"enable_response_messages": True},
}
THOUGHT = {"reasoning": "<think>Well.</think>"}
# What says what all are like, what was missed, and the last; and what a stop string holds back.
MOST_READ = 3 + 2


def _said(event: Any) -> str:
    text: str = event["delta"] if event["type"] == "response.output_text.delta" else ""
    return text


@pytest.mark.parametrize("name", CASES)
def test_a_stream_that_goes_past_vllm_is_the_same_to_the_byte(demo: Path, name: str) -> None:
    async def scenario() -> None:
        usual, short = Streamed(demo, **CASES[name]), Streamed(demo, **CASES[name])
        thought = THOUGHT.get(name, "")
        behind = "<b>bold</b> and " + TEXT * 3
        text = thought + behind
        sent = await short.sent(text, short=True)
        assert sent == await usual.sent(text, short=False)
        assert "".join(map(_said, data_of(sent))) == behind
        assert usual.context.times == len(usual.engine.ids(text))
        assert short.context.times <= len(short.engine.ids(thought)) + MOST_READ

    run(scenario)


def test_what_may_be_a_call_is_read_by_its_parser(demo: Path) -> None:
    async def scenario() -> None:
        short = Streamed(demo, tools=[RESPONSES_TOOL], parsers=("hermes", None))
        data = data_of(await short.sent(TEXT, short=True))
        assert short.context.times == len(short.engine.ids(TEXT))
        assert [event["sequence_number"] for event in data] == list(range(len(data)))

    run(scenario)


@pytest.mark.parametrize(
    "pace",
    [
        {"at_once": 5},
        {"room": 6},
        {"room": 2, "at_once": 3},
        {"room": 2, "at_once": 3, "slow_for": 30},
        {"room": 7, "at_once": 3, "slow_for": 30},
    ],
    ids=str,
)
def test_events_that_hold_several_tokens_are_numbered_like_others(
    demo: Path, pace: dict[str, int]
) -> None:
    async def scenario() -> None:
        usual, short = Streamed(demo), Streamed(demo)
        sent = data_of(await short.sent(TEXT * 3, short=True, **pace))
        alone = data_of(await usual.sent(TEXT * 3, short=False))
        assert len(sent) < len(alone) / 2
        assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
        assert "".join(event.get("delta", "") for event in sent) == TEXT * 3
        for mine, vllms in zip(reversed(sent[-4:]), reversed(alone[-4:]), strict=True):
            assert mine | {"sequence_number": 0} == vllms | {"sequence_number": 0}

    run(scenario)


def test_a_stream_that_fails_has_told_all_that_it_counted(demo: Path) -> None:
    async def scenario() -> None:
        short, wire = Streamed(demo), Wire()
        await short.engine.generation.admit()
        sent = frames(short.events(), short.engine.generation)
        running = await begin(Pump(sent, short.engine.generation), wire)
        await short.engine.feed(short.engine.ids(TEXT))
        short.engine.step(reason=FinishReason.ERROR)
        with pytest.raises(EndedEarlyError):
            await running
        data = data_of(b"".join(wire.pieces))
        assert [event["sequence_number"] for event in data] == list(range(len(data)))
        assert "".join(event.get("delta", "") for event in data) == TEXT

    run(scenario)
