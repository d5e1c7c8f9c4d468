"""What a request would have to wait for is done before the server is ready, or not needed."""

import asyncio
import inspect
import logging

import pytest
import torch
from vllm.v1.sample.ops.logprobs import batched_count_greater_than

from engine.vllm.ranks import at_least
from engine.vllm.warm_up import attempt
from tests.support.server import Server


def test_log_probabilities_need_no_compiler(server: Server) -> None:
    assert "engine.warm_up_failed" not in server.log
    question = {
        "messages": [{"role": "user", "content": "What is unigate?"}],
        "max_tokens": 3,
        "logprobs": True,
        "top_logprobs": 2,
    }
    answer = server.post("/v1/chat/completions", question)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["choices"][0]["logprobs"]["content"]) == 3


@pytest.mark.parametrize("rows", [1, 5])
def test_a_rank_is_what_vllm_counts(rows: int) -> None:
    torch.manual_seed(rows)
    # Few different numbers, so that many are equal.
    numbers = torch.randint(-20, 0, (rows, 1000)).float()
    numbers[0, :9] = float("-inf")
    chosen = numbers.gather(-1, torch.randint(0, 1000, (rows, 1)))
    expected = inspect.unwrap(batched_count_greater_than)(numbers, chosen)
    counted = at_least(numbers, chosen)
    assert counted.dtype == expected.dtype
    assert counted.tolist() == expected.tolist()


def test_a_warm_up_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no grammar")

    with caplog.at_level(logging.WARNING):
        asyncio.run(attempt("structured outputs", fail()))
    (record,) = caplog.records
    assert vars(record)["what"] == "structured outputs"
    assert "no grammar" in caplog.text


def test_a_warm_up_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with caplog.at_level(logging.WARNING):
        asyncio.run(attempt("sampling", hang(), patience_s=0.01))
    (record,) = caplog.records
    assert vars(record)["what"] == "sampling"
    assert "TimeoutError" in caplog.text
