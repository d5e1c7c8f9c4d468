"""vLLM's metrics, filled by vLLM and added up later."""

import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prometheus_client import REGISTRY
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.metrics.prometheus import unregister_vllm_metrics
from vllm.v1.metrics.stats import IterationStats

from engine.vllm.statistics import StepStatLogger
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


def test_what_nobody_asks_for_does_not_gather(demo: Path) -> None:
    arguments = AsyncEngineArgs(model=str(demo), dtype="float32", enforce_eager=True)
    # vLLM prepares this process to be an engine; the servers of other tests would inherit it.
    with patch.dict(os.environ):
        logger = StepStatLogger(arguments.create_engine_config(), [0])
    try:
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
    finally:
        unregister_vllm_metrics()  # type: ignore[no-untyped-call]  # vLLM's
