"""vLLM's metrics, as vLLM fills them, by metrics that cost little to fill.

For each step vLLM fills some thirty of them, for each request fifteen, for each token one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import IterationStats, SchedulerStats

from engine.noted_metrics import NotedCounter, NotedGauge, NotedHistogram, observe_all

# Of steps, if nobody asks.
_MOST_NOTED = 1024


class StepStatLogger(PrometheusStatLogger):
    """vLLM's own, with such metrics."""

    _counter_cls = NotedCounter
    _gauge_cls = NotedGauge
    _histogram_cls = NotedHistogram

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        """Export one step."""
        if iteration_stats is None:
            super().record(scheduler_stats, iteration_stats, mm_cache_stats, engine_idx)
            return
        latencies_s = iteration_stats.inter_token_latencies_iter
        iteration_stats.inter_token_latencies_iter = []
        super().record(scheduler_stats, iteration_stats, mm_cache_stats, engine_idx)
        iteration_stats.inter_token_latencies_iter = latencies_s  # other loggers' too
        latencies: Any = self.histogram_inter_token_latency[engine_idx]
        observe_all(latencies, latencies_s)
        steps: Any = self.histogram_iteration_tokens[engine_idx]
        if steps.noted >= _MOST_NOTED:
            for metric in _histograms(vars(self).values()):
                metric.add_up()


def _histograms(values: Iterable[Any]) -> Iterator[NotedHistogram]:
    """Those that vLLM has for each engine, by its number."""
    for by_engine in values:
        if isinstance(by_engine, dict):
            for metric in by_engine.values():
                if isinstance(metric, NotedHistogram):
                    yield metric
