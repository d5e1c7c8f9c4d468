"""The answers of a routine: vLLM's own documents, made once by vLLM, with blanks in them.

vLLM's generators are run on an answer that is made up, of values that are found again in what comes
of it. Where an answer has more in it than text and counts, there are no such documents.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput

from engine.vllm.routine.blanks import Blanks
from engine.vllm.routine.logprobs_text import LogprobsText
from engine.vllm.shortcut import PlainFrame

# Neither a text nor a number that vLLM writes by itself.
_ID = "chatcmpl-9f2c1e64b0d84a7d"
_TEXTS = ("1d5e0c3b7a", "4b8f2a6e90", "c07d93e1f5")
_SILENT = ""
_PROMPT_TOKENS, _TOKENS = 7919, 3
_ENDS = {"finish": '"finish_reason":"stop"', "stop": '"stop_reason":null'}
_COUNTS = {
    "prompt": f'"prompt_tokens":{_PROMPT_TOKENS}',
    "total": f'"total_tokens":{_PROMPT_TOKENS + _TOKENS}',
    "completion": f'"completion_tokens":{_TOKENS}',
}
# What a token is, and what else it might have been.
_LIKELY = {number: Logprob(-0.125 * number, number, f"7{number}e5d") for number in range(1, 30)}
_HOLE = b"\0"  # JSON escapes it
DONE = "data: [DONE]\n\n"

Outputs = AsyncIterator[Any]
"""vLLM's `RequestOutput`s."""
Whole = Callable[[Outputs, str], Awaitable[Any]]
"""vLLM's method that makes an answer out of outputs, with its id."""
Streamed = Callable[[Outputs, str], AsyncGenerator[str]]
"""The one that makes frames of them."""


def has_counts_only(output: RequestOutput) -> bool:
    """Whether there is nothing to tell but text, counts, and why it ended."""
    completion = output.outputs[0]
    return (
        output.prompt_logprobs is None
        and output.kv_transfer_params is None
        and output.ec_transfer_params is None
        and output.encoder_prompt_token_ids is None
        and completion.logprobs is None
        and completion.routed_experts is None
        and completion.spec_decode_metrics is None
    )


class Document:
    """A whole answer."""

    def __init__(self, blanks: Blanks) -> None:
        self._blanks = blanks

    @classmethod
    async def of(cls, whole: Whole) -> Self | None:
        """As this method of vLLM's makes it."""
        output = _output(_TEXTS[0], [1] * _TOKENS, is_last=True)
        answer = await whole(each(output), _ID)
        values = {"id": _ID, "created": _created(answer.created), "text": f'"{_TEXTS[0]}"'}
        blanks = Blanks.of(answer.model_dump_json(), values | _ENDS | _COUNTS)
        return None if blanks is None else cls(blanks)

    def filled(self, name: str, created_s: int, output: RequestOutput) -> bytes:
        """The answer whose last output this is; its id, and when it was begun."""
        completion = output.outputs[0]
        counted = _counted(output, len(completion.token_ids))
        return self._blanks.filled(_begun(name, created_s) | _ended(completion) | counted)


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a stream, in their order."""

    role: Blanks
    text: Blanks
    last: Blanks
    last_without_text: Blanks
    usage: Blanks | None
    """None where it is not asked for."""

    silent: Blanks | None
    """Of a token without text; None where that has no frame."""

    logprobs: LogprobsText | None
    """None where they are not asked for."""

    @classmethod
    async def of(cls, streamed: Streamed, logprobs: LogprobsText | None = None) -> Self | None:
        """As this method of vLLM's makes them; `logprobs` if they are asked for."""
        tells_each = logprobs is not None
        texts = [_TEXTS, (*_TEXTS[:2], _SILENT), (_TEXTS[0], _SILENT, _TEXTS[2])]
        made = [await _frames_of(streamed, each, tells_each=tells_each) for each in texts]
        (first, second, last, rest), (_, _, bare, _), (_, silent, _, _) = made
        if [*map(len, (first, second, last, bare))] != [2, 1, 1, 1] or rest[-1:] != [DONE]:
            return None

        def values(text: str, *, is_last: bool = False) -> dict[str, str]:
            mine = {"text": f'"{text}"'} if text else {}
            if logprobs is not None:
                output = _output(text, [1], is_last=is_last, tells_each=True)
                mine["logprobs"] = f'"logprobs":{logprobs.of(output.outputs[0]).decode()}'
            return mine | (_ENDS if is_last else {})

        found = [
            _in_stream(first[0]),
            _in_stream(first[1], values(_TEXTS[0])),
            _in_stream(last[0], values(_TEXTS[2], is_last=True)),
            _in_stream(bare[0], values(_SILENT, is_last=True)),
            *(_in_stream(frame, _COUNTS) for frame in rest[:-1]),
        ]
        is_steady = _in_stream(second[0], values(_TEXTS[1])) == found[1]
        if not is_steady or None in found or len(rest) > 2:  # noqa: PLR2004  # usage and the end
            return None
        quiet = _in_stream(silent[0], values(_SILENT)) if tells_each and len(silent) == 1 else None
        if tells_each and quiet is None:
            return None
        return cls(*found, *[None] * (2 - len(rest)), quiet, logprobs)  # type: ignore[call-arg,arg-type]  # none is None

    def plain(self, name: str, created_s: int) -> PlainFrame:
        """What is around the text in the frames of one answer, but for the last."""
        frame = self.text.filled(_begun(name, created_s) | {b"text": _HOLE})
        head, _, tail = frame.partition(_HOLE)
        return PlainFrame(head, tail)

    async def written(self, outputs: Outputs, name: str, created_s: int) -> AsyncGenerator[str]:
        """The frames of these outputs, as they come."""
        begun = _begun(name, created_s)
        has_begun, tokens, output = False, 0, None
        async for output in outputs:
            completion = output.outputs[0]
            tokens += len(completion.token_ids)
            if not has_begun:
                has_begun = True
                yield self.role.filled(begun).decode()
            said = begun
            if self.logprobs is not None:
                said = begun | {b"logprobs": b'"logprobs":' + self.logprobs.of(completion)}
            if completion.finish_reason is not None:
                last = self.last if completion.text else self.last_without_text
                yield last.filled(said | _ended(completion)).decode()
            elif completion.text:
                yield self.text.filled(said | _text(completion)).decode()
            elif self.silent is not None and tokens:
                yield self.silent.filled(said).decode()
        if self.usage is not None and output is not None:
            yield self.usage.filled(begun | _counted(output, tokens)).decode()
        yield DONE


async def _frames_of(
    streamed: Streamed, texts: Sequence[str], *, tells_each: bool
) -> list[list[str]]:
    """The frames of each of three outputs, and of the end."""
    frames: list[list[str]] = []

    async def outputs() -> AsyncGenerator[RequestOutput]:
        for number, text in enumerate(texts):
            frames.append([])
            is_last = number == len(texts) - 1
            yield _output(text, [1], is_last=is_last, tells_each=tells_each)
        frames.append([])

    async for frame in streamed(outputs(), _ID):
        frames[-1].append(frame)
    return frames


def _in_stream(frame: str, values: dict[str, str] | None = None) -> Blanks | None:
    created_s: int = orjson.loads(frame.removeprefix("data: "))["created"]
    return Blanks.of(frame, {"id": _ID, "created": _created(created_s)} | (values or {}))


def _created(created_s: int) -> str:
    return f'"created":{created_s}'


def _begun(name: str, created_s: int) -> dict[bytes, bytes]:
    return {b"id": name.encode(), b"created": b'"created":%d' % created_s}


def _text(completion: CompletionOutput) -> dict[bytes, bytes]:
    return {b"text": orjson.dumps(completion.text)}


def _ended(completion: CompletionOutput) -> dict[bytes, bytes]:
    return {
        b"text": orjson.dumps(completion.text),
        b"finish": b'"finish_reason":' + orjson.dumps(completion.finish_reason),
        b"stop": b'"stop_reason":' + orjson.dumps(completion.stop_reason),
    }


def _counted(output: RequestOutput, tokens: int) -> dict[bytes, bytes]:
    prompt_tokens = len(output.prompt_token_ids or ())
    return {
        b"prompt": b'"prompt_tokens":%d' % prompt_tokens,
        b"total": b'"total_tokens":%d' % (prompt_tokens + tokens),
        b"completion": b'"completion_tokens":%d' % tokens,
    }


async def each(*outputs: RequestOutput) -> AsyncGenerator[RequestOutput]:
    """These outputs, as if they came one after the other."""
    for output in outputs:
        yield output


def _output(
    text: str, token_ids: list[int], *, is_last: bool, tells_each: bool = False
) -> RequestOutput:
    completion = CompletionOutput(
        index=0, text=text, token_ids=token_ids, cumulative_logprob=None,
        logprobs=[_LIKELY] if tells_each else None, finish_reason="stop" if is_last else None,
    )  # fmt: skip
    return RequestOutput(
        request_id=_ID, prompt=None, prompt_token_ids=[1] * _PROMPT_TOKENS, prompt_logprobs=None,
        outputs=[completion], finished=is_last,
    )  # fmt: skip
