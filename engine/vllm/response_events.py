"""The events of a response that is streamed: vLLM's, and those that take text past vLLM.

vLLM numbers the events of a stream one after the other, and says all of the text again at its end.
So what goes past it is kept, and handed to it in one piece before its last output.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from typing import Any, Literal, Self

import orjson
from openai.types.responses import ResponseTextDeltaEvent
from vllm.entrypoints.openai.responses.protocol import ResponseCompletedEvent
from vllm.outputs import RequestOutput

from engine.vllm.generation import Generation

_COMPLETED, _INCOMPLETE = "response.completed", "response.incomplete"
# Found again in the event that is made of them, and in no other place of it.
_TEXT, _NUMBER = "1d5e0c3b7a", 7919
_NUMBER_IS = '"sequence_number":'


class ResponseIncompleteEvent(ResponseCompletedEvent):
    """The last event of an answer that was cut off, as `frames` writes it."""

    type: Literal["response.incomplete"]  # type: ignore[assignment]  # in place of the other


class TextEvents:
    """As `PlainFrame`, of one stream: events that differ in their text and their number."""

    def __init__(self, head: bytes, between: bytes, tail: bytes, next_number: int) -> None:
        self.head, self.tail = head, tail
        self.next_number = next_number
        self.texts: list[str] = []
        """Of those that were made, one after the other."""
        self._between = between

    @classmethod
    def behind(cls, event: ResponseTextDeltaEvent) -> Self:
        """What comes behind this one, as long as it is of the same item."""
        values = {"delta": _TEXT, "sequence_number": _NUMBER}
        head, _, rest = _frame(event.model_copy(update=values)).partition(f'"{_TEXT}"')
        between, _, tail = rest.partition(f"{_NUMBER_IS}{_NUMBER}")
        between += _NUMBER_IS
        return cls(head.encode(), between.encode(), tail.encode(), event.sequence_number + 1)

    def middle(self, text: str) -> bytes:
        """The next event, without head and tail."""
        self.texts.append(text)
        number, self.next_number = self.next_number, self.next_number + 1
        return b"%b%b%d" % (orjson.dumps(text), self._between, number)


def parted(generation: Generation, output: RequestOutput) -> list[RequestOutput]:
    """An output that comes after events went past vLLM: what it has missed, and what is new.

    Any other as it is.
    """
    sent = generation.frame
    if not isinstance(sent, TextEvents) or not sent.texts:
        return [output]
    token_ids = list(output.outputs[0].token_ids)  # also those that were missed
    missed = _with(
        output,
        text="".join(sent.texts), token_ids=token_ids[:-1], finish_reason=None, stop_reason=None,
    )  # fmt: skip
    return [missed, _with(output, token_ids=token_ids[-1:])]


def _with(output: RequestOutput, **values: Any) -> RequestOutput:
    changed = copy(output)
    changed.outputs = [replace(output.outputs[0], **values)]
    return changed


async def frames(
    events: AsyncGenerator[Any, None], generation: Generation | None = None
) -> AsyncGenerator[str]:
    """Server-sent events; the last one says so when the answer is not complete.

    `generation` learns what its text is to be written into; None: this is read by nobody who could.
    """
    sent: TextEvents | None = None
    more = 0
    async with aclosing(events):
        async for event in events:
            if sent is not None and sent.texts:
                # What was missed is one event for vLLM, and the client has it.
                assert event.delta == "".join(sent.texts)
                more, sent = len(sent.texts) - 1, None
                continue
            event.sequence_number += more
            yield _frame(event)
            if sent is not None:
                sent.next_number = event.sequence_number + 1
            elif _is_plain(event) and generation is not None and generation.passes_text(0):
                generation.frame = sent = TextEvents.behind(event)


def _is_plain(event: Any) -> bool:
    return isinstance(event, ResponseTextDeltaEvent) and not event.logprobs


def _frame(event: Any) -> str:
    kind = event.type
    data = event.model_dump_json(by_alias=True)
    if kind == _COMPLETED and event.response.status == "incomplete":
        kind = _INCOMPLETE
        data = data.replace(f'"type":"{_COMPLETED}"', f'"type":"{_INCOMPLETE}"', 1)
    return f"event: {kind}\ndata: {data}\n\n"
