"""Lets each generation tell the account of its request what it costs.

vLLM counts per request for its histograms; the counters live on with whoever holds them.
"""

from vllm.v1.engine.output_processor import RequestState
from vllm.v1.metrics.stats import RequestStateStats

from engine.account import Spent, Steps, account
from engine.vllm.added_requests import Added


def meter(added: Added) -> None:
    """Let it be metered, if there is an account of its request."""
    mine = account.get(None)
    if mine is not None:
        # Answers to one prompt share it.
        mine.add(_Meter(added.state, counts_prompt=added.choice == 0))


class _Meter:
    """Holds the counters, not the request: that has the prompt and what may be images."""

    def __init__(self, state: RequestState, *, counts_prompt: bool) -> None:
        self._prompt_tokens = state.prompt_len if counts_prompt else 0
        self._stats: RequestStateStats | None = state.stats

    def __call__(self) -> Spent:
        stats = self._stats
        if stats is None:  # --disable-log-stats
            return Spent(prompt_tokens=self._prompt_tokens)
        return Spent(
            prompt_tokens=self._prompt_tokens,
            output_tokens=stats.num_generation_tokens,
            queued_s=stats.scheduled_ts - stats.queued_ts if stats.scheduled_ts else None,
            first_token_s=stats.first_token_latency or None,
            steps=Steps(
                queued_s=stats.queued_ts,
                scheduled_s=stats.scheduled_ts,
                first_token_s=stats.first_token_ts,
                last_token_s=stats.last_token_ts,
            ),
        )
