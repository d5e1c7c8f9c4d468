"""HTTP's metrics are those that the library would fill by itself."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import metrics

from app.observability.ended import Ended
from app.observability.http_metrics import HttpMetrics
from engine.account import Account

Request = tuple[str, str | None, int, int | None, int | None, float]
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST"]),
        st.sampled_from(["/v1/models", "/v1/chat/completions", None]),
        st.sampled_from([0, 200, 404]),
        st.none() | st.integers(0, 10_000),
        st.none() | st.integers(0, 10_000),
        st.floats(0, 100) | st.sampled_from([0.1, 0.5, 1, 10]),
    )
)


def headers(length: int | None) -> list[tuple[bytes, bytes]]:
    return [(b"accept", b"*/*"), *([] if length is None else [(b"content-length", b"%d" % length)])]


def ended(request: Request) -> Ended:
    method, route, status, asked, answered, took_s = request
    scope: dict[str, Any] = {"method": method, "headers": headers(asked)}
    if route is not None:
        scope["route"] = SimpleNamespace(path=route)
    return Ended(
        scope=scope,
        account=Account(),
        status=status,
        answered_with=headers(answered),
        is_complete=True,
        took_s=took_s,
    )


def info(request: Request) -> Any:
    method, route, status, asked, answered, took_s = request
    asking, answering = ({"Content-Length": length or 0} for length in (asked, answered))
    return SimpleNamespace(
        request=SimpleNamespace(headers=asking),
        response=SimpleNamespace(headers=answering),
        method=method if route else "none",
        modified_handler=route or "none",
        modified_status=str(status),
        modified_duration=took_s,
    )


def samples(collector: Collector) -> dict[str, float]:
    return {
        f"{sample.name} {sorted(sample.labels.items())}": sample.value
        for family in collector.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(REQUESTS, REQUESTS)
def test_they_are_what_the_library_counts(first: list[Request], then: list[Request]) -> None:
    ours, theirs = HttpMetrics(), CollectorRegistry()
    instrument = metrics.default(registry=theirs)
    assert instrument is not None
    for requests in (first, then):
        for request in requests:
            ours.observe(ended(request))
            instrument(info(request))
        assert samples(ours) == pytest.approx(samples(theirs))


def test_what_nobody_asks_for_does_not_grow() -> None:
    ours = HttpMetrics()
    for _ in range(3000):
        ours.observe(ended(("GET", "/v1/models", 200, None, 10, 0.1)))
    assert sum(map(len, ours._noted.values())) <= 1024
    assert 3000.0 in samples(ours).values()
