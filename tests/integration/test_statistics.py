"""vLLM's metric of latencies between tokens, observed for a step at once."""

import re

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
