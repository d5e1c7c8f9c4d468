"""Tokens of which nothing comes but text: processed here, and not one by one by vLLM.

Its loop makes twenty calls for a token, of which these few are what such a token needs.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.output_processor import OutputProcessor, RequestState
from vllm.v1.metrics.stats import IterationStats


class Taker(Protocol):
    """Has the text of one request to write."""

    state: RequestState

    def take(self, token_ids: list[int]) -> None:
        """These come next."""

    def step_aside(self) -> None:
        """What comes next is more than text."""


class PlainTokens:
    """Those of one engine; and their texts, which each stream writes at the end of a turn.

    When the event loop is behind, a turn has several steps of the engine, whose texts leave
    together.
    """

    def __init__(self) -> None:
        self._takers: dict[str, Taker] = {}
        self._due: list[Callable[[], None]] = []

    def open(self, taker: Taker) -> None:
        """From now on it gets its tokens here."""
        self._takers[taker.state.request_id] = taker

    def close(self, taker: Taker) -> None:
        """From now on all is vLLM's again."""
        if self._takers.pop(taker.state.request_id, None) is not None:
            taker.step_aside()

    def write_at_end(self, write: Callable[[], None]) -> None:
        """Call `write` at the end of this turn of the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._end)
        self._due.append(write)

    def stand_before(self, processor: OutputProcessor) -> None:
        """From now on, vLLM processes what is left over."""
        process = processor.process_outputs

        def process_rest(
            outputs: list[EngineCoreOutput],
            timestamp: float | None = None,
            stats: IterationStats | None = None,
            weight_version: str | None = None,
        ) -> Any:
            rest = self._take(outputs, timestamp, stats, weight_version)
            return process(rest, timestamp, stats, weight_version)

        # As AsyncLLM alone calls it.
        processor.process_outputs = process_rest  # type: ignore[method-assign,assignment]

    def _take(
        self,
        outputs: Iterable[EngineCoreOutput],
        timestamp: float | None,
        stats: IterationStats | None,
        weight_version: str | None,
    ) -> list[EngineCoreOutput]:
        rest = []
        takers = self._takers
        for output in outputs:
            taker = takers.get(output.request_id)
            if taker is None:
                rest.append(output)
            elif _has_more_than_text(output) or _is_of_new_weights(taker.state, weight_version):
                taker.step_aside()
                rest.append(output)
            else:
                if stats is not None:
                    _count(output, timestamp, stats, taker.state)
                taker.take(output.new_token_ids)
        return rest

    def _end(self) -> None:
        due, self._due = self._due, []
        for write in due:
            write()


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


def _is_of_new_weights(state: RequestState, version: str | None) -> bool:
    """As `RequestState.track_weight_version` sees it."""
    starts = state.weight_version_starts
    return version is not None and (not starts or starts[-1][0] != version)


def _count(
    output: EngineCoreOutput, timestamp: float | None, stats: IterationStats, state: RequestState
) -> None:
    """As `IterationStats.update_from_output`, for what is not the first of an answer."""
    mine = state.stats
    assert timestamp is not None  # where there are statistics
    assert mine is not None
    tokens = len(output.new_token_ids)
    stats.num_generation_tokens += tokens
    mine.num_generation_tokens += tokens
    stats.inter_token_latencies_iter.append(timestamp - mine.last_token_ts)
    mine.last_token_ts = timestamp
