"""vLLM's metrics, as vLLM fills them, by metrics that cost little to fill.

For each step vLLM fills some thirty of them, for each request fifteen, for each token one. In most
steps no request comes or goes, and all but four get the value they have, or a zero more.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from engine.noted_metrics import NotedCounter, NotedGauge, NotedHistogram

# Of steps, if nobody asks.
_MOST_NOTED = 1024
# Adding these up takes a quarter of a millisecond.
_MOST_LATENCIES = 2048


class StepStatLogger(PrometheusStatLogger):
    """vLLM's own, with such metrics."""

    _counter_cls = NotedCounter
    _gauge_cls = NotedGauge
    _histogram_cls = NotedHistogram

    _loads: dict[int, tuple[Any, ...]]
    """By engine, what the gauges that plain steps leave alone have got."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As vLLM's."""
        super().__init__(*arguments, **options)
        self._loads = {}

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """Export one step."""
        if iteration_stats is None:
            self._loads.pop(engine_idx, None)
            super().record(scheduler_stats, iteration_stats, mm_cache_stats, engine_idx)
            return
        latencies_s = iteration_stats.inter_token_latencies_iter
        load = scheduler_stats and _load(scheduler_stats)
        if (
            scheduler_stats is not None
            and load == self._loads.get(engine_idx)
            and mm_cache_stats is None
            and self.gauge_lora_info is None
            and is_plain(scheduler_stats, iteration_stats)
        ):
            its: Any = self  # vLLM's types have all kinds of metrics for each
            tokens = iteration_stats.num_generation_tokens
            its.gauge_kv_cache_usage[engine_idx].set(scheduler_stats.kv_cache_usage)
            its.counter_generation_tokens[engine_idx].inc(tokens)
            its.histogram_iteration_tokens[engine_idx].observe(tokens)
        else:
            self._loads[engine_idx] = load or ()
            iteration_stats.inter_token_latencies_iter = []
            super().record(scheduler_stats, iteration_stats, mm_cache_stats, engine_idx)
            iteration_stats.inter_token_latencies_iter = latencies_s  # other loggers' too
        latencies: Any = self.histogram_inter_token_latency[engine_idx]
        latencies.observe_all(latencies_s)
        if latencies.noted >= _MOST_LATENCIES:
            latencies.add_up()
        steps: Any = self.histogram_iteration_tokens[engine_idx]
        if steps.noted >= _MOST_NOTED:
            for metric in _histograms(vars(self).values()):
                metric.add_up()


def is_plain(scheduler: SchedulerStats, iteration: IterationStats) -> bool:
    """Whether a step has made tokens and nothing else that is counted."""
    asked, prompts = scheduler.prefix_cache_stats, iteration.prompt_token_stats
    return not (
        asked.queries
        or asked.hits
        or scheduler.connector_prefix_cache_stats
        or scheduler.kv_cache_eviction_events
        or scheduler.spec_decoding_stats
        or scheduler.kv_connector_stats
        or scheduler.ec_connector_stats
        or scheduler.perf_stats
        or prompts.total
        or prompts.computed
        or prompts.cached_tokens
        or iteration.finished_requests
        or iteration.time_to_first_tokens_iter
        or iteration.max_num_generation_tokens_iter
        or iteration.n_params_iter
        or iteration.num_preempted_reqs
        or iteration.num_corrupted_reqs
        or iteration.num_watermarked_reqs
        or iteration.num_watermark_skipped_reqs
        or iteration.num_not_watermarked_reqs
    )


def _load(scheduler: SchedulerStats) -> tuple[Any, ...]:
    return (
        scheduler.num_running_reqs,
        scheduler.num_waiting_reqs,
        scheduler.num_skipped_waiting_reqs,
        scheduler.num_kv_fetch_reqs_by_stage,
    )


def _histograms(values: Iterable[Any]) -> Iterator[NotedHistogram]:
    """Those that vLLM has for each engine, by its number."""
    for by_engine in values:
        if isinstance(by_engine, dict):
            for metric in by_engine.values():
                if isinstance(metric, NotedHistogram):
                    yield metric
