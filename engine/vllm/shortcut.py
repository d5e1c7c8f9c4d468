"""The short way of plain text: into a frame that was prepared, and onto the wire.

Between its first tokens and its last, the frames of an answer in plain text differ in nothing but
the text. So vLLM's generator of frames makes two of them, and they tell what all will be; from then
on it sleeps until the last output, which has the tokens of all it has missed (as vLLM's own
`stream_interval` would give them), so that its counts are right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.detokenizer import BaseIncrementalDetokenizer
from vllm.v1.engine.output_processor import RequestState
from vllm.v1.metrics.stats import IterationStats

from engine.answer import Wire
from engine.vllm.plain_tokens import PlainTokens


class TextFrame(Protocol):
    """A frame with a hole for the text, and for what else is another one each time."""

    @property
    def head(self) -> bytes:
        """What is before it."""

    @property
    def tail(self) -> bytes:
        """What is behind it."""

    def middle(self, text: str) -> bytes:
        """What is to be sent in between, for a frame with this text."""


@dataclass(frozen=True, slots=True)
class PlainFrame:
    """One with a hole for the text alone, JSON's quotes included."""

    head: bytes
    tail: bytes

    def middle(self, text: str) -> bytes:
        """As `TextFrame.middle`."""
        return orjson.dumps(text)

    def of(self, text: str) -> bytes:
        """The frame with this text."""
        return self.head + self.middle(text) + self.tail


@dataclass(frozen=True, slots=True)
class Example:
    """A frame, and the text and tokens of the output that it was made of."""

    frame: bytes
    text: str
    tokens: tuple[int, ...]

    def common(self, other: "Example") -> PlainFrame | None:
        """What both are made from; None if they differ in more than the text, or not in it."""
        # Text that is held back, or has several tokens to a letter, may differ where the tokens do
        # not; a frame that has the tokens in it must not pass for one that has text alone.
        if self.text == other.text or self.tokens == other.tokens:
            return None
        mine = orjson.dumps(self.text)
        place = self.frame.find(mine)
        while place >= 0:
            found = PlainFrame(self.frame[:place], self.frame[place + len(mine) :])
            if found.of(other.text) == other.frame:
                return found
            place = self.frame.find(mine, place + 1)
        return None


def _has_more_than_text(output: EngineCoreOutput) -> bool:
    return (
        output.finish_reason is not None
        or output.events is not None
        or output.new_logprobs is not None
        or output.new_prompt_logprobs_tensors is not None
        or output.pooling_output is not None
        or output.prefill_stats is not None
        or output.kv_transfer_params is not None
        or output.ec_transfer_params is not None
        or output.routed_experts is not None
        or output.num_nans_in_logits > 0
        or output.new_sampling_mask is not None
        or output.spec_decode_metrics is not None
        or output.prompt_token_id_logprobs is not None
    )


def is_open_to(state: RequestState) -> bool:
    """Whether nothing but its text comes of a token of this request, or of a choice of one."""
    return (
        state.output_kind is RequestOutputKind.DELTA
        and state.stream_interval == 1
        and not state.streaming_input
        and isinstance(state.detokenizer, BaseIncrementalDetokenizer)
        and state.logprobs_processor is not None
        and state.logprobs_processor.num_logprobs is None
    )


class Shortcut:
    """Takes the tokens of one choice out of vLLM's hands, until its last."""

    def __init__(
        self,
        state: RequestState,
        frame: TextFrame,
        wire: Wire,
        plain: PlainTokens,
        *,
        on_full: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """`on_full` is told when the wire has no room; then text gathers until `resume`.

        `on_error` gets what goes wrong while text is written.
        """
        assert isinstance(state.detokenizer, BaseIncrementalDetokenizer)  # it is open
        self.request_id = state.request_id
        self._state = state
        self._stats = state.stats
        self._weight_version: str | None = None  # that is known to be vLLM's of this request
        self._detokenizer = state.detokenizer
        self._token_ids = state.detokenizer.token_ids
        self._decode = state.detokenizer.decode_next
        self._texts = plain.vocabularies.of(state.detokenizer)
        self._is_complete = False
        """Whether all that was decoded has its text, and nothing waits for its second half."""

        self._known_tokens = state.detokenizer.num_output_tokens()
        self._frame = frame
        self._wire = wire
        self._plain = plain
        self._on_full = on_full
        self._on_error = on_error
        self._is_due = False
        self._is_closed = False
        self._was_vllms = False
        self._text = ""
        """Text that vLLM does not know of; what it knows comes before."""

        state.make_request_output = self._make_request_output  # type: ignore[method-assign]
        if not state.detokenizer.stop:
            plain.open(self)

    def take(
        self,
        output: EngineCoreOutput,
        timestamp: float | None,
        stats: IterationStats | None,
        weight_version: str | None,
    ) -> bool:
        """What `OutputProcessor.process_outputs` does for an output that is nothing but text.

        False for any other: vLLM goes on from the text that there is.
        """
        if weight_version is not self._weight_version and weight_version is not None:
            starts = self._state.weight_version_starts
            is_known = starts and starts[-1][0] == weight_version
            self._weight_version = weight_version if is_known else None
        else:
            is_known = True
        if not is_known or _has_more_than_text(output):
            self._detokenizer.output_text += self._text
            self._text = ""
            self._was_vllms = True
            self._is_complete = False
            return False
        token_ids = output.new_token_ids
        if stats is not None:  # as IterationStats.update_from_output
            mine = self._stats
            assert mine is not None  # where there are statistics
            assert timestamp is not None
            tokens = len(token_ids)
            stats.num_generation_tokens += tokens
            mine.num_generation_tokens += tokens
            stats.inter_token_latencies_iter.append(timestamp - mine.last_token_ts)
            mine.last_token_ts = timestamp
        texts = self._texts
        for token_id in token_ids:  # as the detokenizer's `update`
            self._token_ids.append(token_id)
            text = texts[token_id] if texts is not None and self._is_complete else None
            if text is None:
                text = self._decode(token_id)
                self._is_complete = bool(text)
            self._text += text
        if not self._is_due:
            self._is_due = True
            self._plain.write_at_end(self)
        return True

    def _make_request_output(
        self,
        new_token_ids: list[int],
        pooling_output: Any,
        finish_reason: Any,
        *rest: Any,
        **more: Any,
    ) -> Any:
        """In place of vLLM's, which is called for each step that it processes."""
        if finish_reason is None:
            self._was_vllms = True
            if not self._is_due:
                self._is_due = True
                self._plain.write_at_end(self)
            return None
        self._plain.close(self)
        missed = self._detokenizer.output_token_ids[self._known_tokens :]
        del self._state.make_request_output  # vLLM's is behind it
        return self._state.make_request_output(missed, pooling_output, finish_reason, *rest, **more)

    def close(self) -> None:
        """Write nothing more: the wire is another's."""
        self._is_closed = True
        self._plain.close(self)

    def write(self) -> None:
        """Write the text that there is, if there is room."""
        if self._is_closed:
            return
        self._is_due = False
        text, self._text = self._text, ""
        frame = self._frame
        try:
            if self._was_vllms:
                self._was_vllms = False
                text = self._detokenizer.get_next_output_text(finished=False, delta=True) + text
            has_room = not text or self._wire.write_around(
                frame.head, frame.middle(text), frame.tail
            )
        except Exception as error:  # noqa: BLE001  # others of this turn are not to suffer
            self._on_error(error)
            return
        if not has_room:
            self._is_due = True  # once there is room again
            self._on_full()
