"""vLLM's metrics, with the one that is observed for every token observed for a step at once."""

from bisect import bisect_left
from collections import Counter
from typing import Any

from prometheus_client import Histogram
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import IterationStats, SchedulerStats


class StepHistogram(Histogram):
    """A histogram that takes many equal values at once."""

    def observe_times(self, value: float, times: int) -> None:
        """The same as so many calls of `observe`."""
        self._sum.inc(value * times)
        self._buckets[bisect_left(self._upper_bounds, value)].inc(times)


class StepStatLogger(PrometheusStatLogger):
    """vLLM's own, which calls `observe` once for each token of a step.

    Each call goes through the buckets and takes two locks. Of the tokens of a step most have the
    same latency, since their requests were in the step before, too.
    """

    _histogram_cls = StepHistogram

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
        histogram: Any = self.histogram_inter_token_latency[engine_idx]  # of our class
        for latency_s, times in Counter(latencies_s).items():
            histogram.observe_times(latency_s, times)
