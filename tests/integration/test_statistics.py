"""vLLM's metrics, filled by vLLM and added up later."""

import inspect
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from vllm.v1.engine import FinishReason
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.prometheus import unregister_vllm_metrics
from vllm.v1.metrics.stats import (
    FinishedRequestStats,
    IterationStats,
    PrefillStats,
    PromptTokenStats,
    SchedulerStats,
)

from engine.vllm.statistics import StepStatLogger, is_plain
from tests.support.engine_config import engine_config
from tests.support.server import Server

_COUNT = re.compile(r"^vllm:inter_token_latency_seconds_count\{.*\} ([0-9.]+)$", re.MULTILINE)


def test_every_token_behind_the_first_has_its_latency(server: Server) -> None:
    def counted() -> float:
        (count,) = _COUNT.findall(server.get("/v1/metrics").text)
        return float(count)

    before = counted()
    body = {"prompt": "The server", "max_tokens": 20, "ignore_eos": True}
    assert server.post("/v1/completions", body).status_code == 200
    assert counted() - before == 19


@contextmanager
def logger_of(kind: type[PrometheusStatLogger], demo: Path) -> Iterator[PrometheusStatLogger]:
    logger = kind(engine_config(demo), [0, 1])
    try:
        yield logger
    finally:
        unregister_vllm_metrics()  # type: ignore[no-untyped-call]  # vLLM's


def some_step(rng: random.Random) -> tuple[SchedulerStats, IterationStats | None]:
    """As often as not one that has made tokens and nothing else."""
    scheduler = SchedulerStats(
        num_running_reqs=rng.randint(1, 2),
        num_kv_fetch_reqs_by_stage={"in_progress": rng.randint(0, 1)},
        kv_cache_usage=rng.random(),
    )
    if rng.random() < 0.1:
        return scheduler, None
    stats: Any = IterationStats()  # type: ignore[no-untyped-call]  # vLLM's
    stats.num_generation_tokens = rng.randint(1, 4)
    stats.inter_token_latencies_iter = [rng.choice([0.01, 0.2])] * stats.num_generation_tokens
    if rng.random() < 0.3:
        scheduler.prefix_cache_stats.record(20, rng.randint(0, 20), preempted=False)
    if rng.random() < 0.3:
        stats.prompt_token_stats.update_from_output(PrefillStats(9, 4, 5, 5))
        stats.time_to_first_tokens_iter.append(rng.random())
    if rng.random() < 0.2:
        stats.num_preempted_reqs += 1
    if rng.random() < 0.2:
        stats.max_num_generation_tokens_iter.append(3)
        stats.n_params_iter.append(1)
        stats.finished_requests.append(
            FinishedRequestStats(FinishReason.LENGTH, e2e_latency=rng.random(), max_tokens_param=7)
        )
    return scheduler, stats


def test_every_metric_has_the_value_that_vllm_gives_it(demo: Path) -> None:
    exported = []
    for kind in (PrometheusStatLogger, StepStatLogger):
        rng = random.Random(1)  # noqa: S311  # nothing secret
        with logger_of(kind, demo) as logger:
            for _ in range(400):
                engine = rng.randint(0, 1)
                logger.record(*some_step(rng), engine_idx=engine)
            # Whether the last is a plain one is a matter of luck, and what was before it counts.
            for load in (1, 1, 2, 1, 1):
                scheduler = SchedulerStats(num_running_reqs=load)
                stats: Any = IterationStats()  # type: ignore[no-untyped-call]  # vLLM's
                logger.record(scheduler, None if load == 2 else stats, engine_idx=0)
            samples = [
                sample
                for metric in REGISTRY.collect()
                for sample in metric.samples
                if sample.name.startswith("vllm:") and not sample.name.endswith("_created")
            ]
        exported.append({(it.name, *sorted(it.labels.items())): it.value for it in samples})
    theirs, ours = exported
    assert theirs.keys() == ours.keys()
    assert ours == {name: pytest.approx(value) for name, value in theirs.items()}


def test_a_step_of_tokens_alone_has_nothing_else_that_is_counted() -> None:
    source = inspect.getsource(is_plain)
    judged = {
        SchedulerStats: (r"scheduler\.(\w+)", vars(SchedulerStats())),
        IterationStats: (r"iteration\.(\w+)", vars(IterationStats())),  # type: ignore[no-untyped-call]  # vLLM's
        PromptTokenStats: (r"prompts\.(\w+)", vars(PromptTokenStats())),
    }
    left = {
        kind: set(known) - set(re.findall(name, source)) for kind, (name, known) in judged.items()
    }
    # Those a plain step is exported with, those of gauges that are compared, and vLLM's own.
    assert left == {
        SchedulerStats: {
            "num_running_reqs", "num_waiting_reqs", "num_skipped_waiting_reqs",
            "num_kv_fetch_reqs_by_stage", "kv_cache_usage", "step_counter", "current_wave",
            "iteration_details", "waiting_lora_adapters", "running_lora_adapters",
            "cudagraph_stats",
        },
        IterationStats: {
            "iteration_timestamp", "num_generation_tokens", "inter_token_latencies_iter",
        },
        # Parts of the others, and what the parts are called.
        PromptTokenStats: {"local_cache_hit", "external_kv_transfer", "ALL_SOURCES"},
    }  # fmt: skip


def test_what_nobody_asks_for_does_not_gather(demo: Path) -> None:
    with logger_of(StepStatLogger, demo) as logger:
        for _ in range(3000):
            stats: Any = IterationStats()  # type: ignore[no-untyped-call]  # vLLM's
            stats.n_params_iter.append(1)
            logger.record(None, stats)
        answers: Any = logger.histogram_n_request[0]
        assert answers.noted < 1024
        count = REGISTRY.get_sample_value(
            "vllm:request_params_n_count", {"model_name": str(demo), "engine": "0"}
        )
        assert count == 3000


def test_latencies_of_tokens_do_not_gather_either(demo: Path) -> None:
    with logger_of(StepStatLogger, demo) as logger:
        for _ in range(100):
            stats: Any = IterationStats()  # type: ignore[no-untyped-call]  # vLLM's
            stats.inter_token_latencies_iter += [0.01] * 256
            logger.record(None, stats)
            latencies: Any = logger.histogram_inter_token_latency[0]
            assert latencies.noted < 2048 + 256
        count = REGISTRY.get_sample_value(
            "vllm:inter_token_latency_seconds_count", {"model_name": str(demo), "engine": "0"}
        )
        assert count == 25600
