"""Metrics by two names have the same values by both."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.observability.nim_names import NAMES, WithNimNames


def text() -> str:
    registry = CollectorRegistry()
    Gauge("vllm:kv_cache_usage_perc", "x", ["engine"], registry=registry).labels("0").set(0.25)
    Counter("vllm:prompt_tokens", "x", registry=registry).inc(7)
    Histogram("vllm:e2e_request_latency_seconds", "x", buckets=(1,), registry=registry).observe(3)
    Gauge("unigate_state", "x", registry=registry).set(5)
    return generate_latest(WithNimNames(registry)).decode()


def test_each_kind_is_there_by_both_names() -> None:
    lines = text().splitlines()
    for line in (
        'vllm:kv_cache_usage_perc{engine="0"} 0.25',
        'gpu_cache_usage_perc{engine="0"} 0.25',
        "vllm:prompt_tokens_total 7.0",
        "prompt_tokens_total 7.0",
        'e2e_request_latency_seconds_bucket{le="+Inf"} 1.0',
        "e2e_request_latency_seconds_sum 3.0",
        "unigate_state 5.0",
    ):
        assert lines.count(line) == 1
    assert "# TYPE prompt_tokens_total counter" in lines


def test_no_name_is_given_twice() -> None:
    families = [line.split()[2] for line in text().splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert len(set(NAMES.values())) == len(NAMES)
