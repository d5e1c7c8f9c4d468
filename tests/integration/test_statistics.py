"""vLLM's metric of latencies between tokens, observed for a step at once."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from engine.vllm.statistics import StepHistogram
from tests.support.server import Server

BOUNDS = (0.01, 0.05, 0.5, 2.0)
_COUNT = re.compile(r"^vllm:inter_token_latency_seconds_count\{.*\} ([0-9.]+)$", re.MULTILINE)


def samples(histogram: Histogram) -> dict[str, float]:
    (family,) = histogram.collect()
    return {
        f"{sample.name} {sample.labels}": sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(
    st.lists(st.tuples(st.floats(0, 5) | st.sampled_from(BOUNDS), st.integers(1, 300)), max_size=5)
)
def test_many_at_once_are_counted_as_one_by_one(observed: list[tuple[float, int]]) -> None:
    ours = StepHistogram("x", "x", buckets=BOUNDS, registry=CollectorRegistry())
    theirs = Histogram("x", "x", buckets=BOUNDS, registry=CollectorRegistry())
    for value, times in observed:
        ours.observe_times(value, times)
        for _ in range(times):
            theirs.observe(value)
    assert samples(ours) == pytest.approx(samples(theirs))


def test_every_token_behind_the_first_has_its_latency(server: Server) -> None:
    def counted() -> float:
        (count,) = _COUNT.findall(server.get("/v1/metrics").text)
        return float(count)

    before = counted()
    body = {"prompt": "The server", "max_tokens": 20, "ignore_eos": True}
    assert server.post("/v1/completions", body).status_code == 200
    assert counted() - before == 19
