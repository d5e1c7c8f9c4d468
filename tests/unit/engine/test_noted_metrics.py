"""Metrics whose numbers are noted first, and added up when somebody asks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from engine.noted_metrics import NotedCounter, NotedGauge, NotedHistogram, observe_all

BOUNDS = (0.01, 0.05, 0.5, 2.0)


def samples(metric: Collector) -> dict[str, float]:
    (family,) = metric.collect()
    return {
        f"{sample.name} {sample.labels}": sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.floats(0, 5) | st.sampled_from(BOUNDS)))
def test_many_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    ours, theirs = (
        Histogram("x", "x", buckets=BOUNDS, registry=CollectorRegistry()) for _ in range(2)
    )
    observe_all(ours, values)
    for value in values:
        theirs.observe(value)
    assert samples(ours) == pytest.approx(samples(theirs))
    noted = NotedHistogram("x", "x", buckets=BOUNDS, registry=CollectorRegistry())
    noted.observe_all(values)
    assert noted.noted == len(values)
    assert samples(noted) == pytest.approx(samples(theirs))
    assert noted.noted == 0


@given(st.lists(st.floats(-1, 5) | st.sampled_from(BOUNDS) | st.none(), max_size=20))
def test_what_was_noted_is_there_whenever_somebody_asks(values: list[float | None]) -> None:
    kinds = ((NotedHistogram, Histogram), (NotedCounter, Counter), (NotedGauge, Gauge))
    for noted, usual in kinds:
        ours, theirs = (
            kind("x", "x", ["engine"], registry=CollectorRegistry()) for kind in (noted, usual)
        )
        for value in values:
            if value is None:  # somebody asks
                assert samples(ours) == pytest.approx(samples(theirs))
                continue
            for metric in (ours, theirs):
                fill(metric.labels("0"), value)
        assert samples(ours) == pytest.approx(samples(theirs))


def fill(metric: Any, value: float) -> None:
    match metric:
        case Histogram():
            metric.observe(value)
        case Gauge():
            metric.set(value)
        case Counter():
            metric.inc(abs(value))
        case _:
            raise AssertionError(metric)


def test_a_counter_goes_up() -> None:
    with pytest.raises(ValueError, match="go up"):
        NotedCounter("x", "x", registry=CollectorRegistry()).inc(-1)
