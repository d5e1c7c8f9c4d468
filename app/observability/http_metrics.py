"""HTTP's metrics, as prometheus-fastapi-instrumentator names and counts them.

vLLM's own server has them from the same library, and dashboards know them. Its middleware would
match each request's route a second time, and fill them one request at a time; here the metrics are
the library's, and what they are filled with is noted where the access log knows it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import metrics

from app.observability.ended import Ended, Headers
from engine.noted_metrics import observe_all

# Of one kind, if nobody asks.
_MOST_NOTED = 1024


class _Kind(NamedTuple):
    """The labels that requests have in common."""

    method: str
    handler: str
    status: str


class _Noted(NamedTuple):
    request_bytes: int
    response_bytes: int
    took_s: float


class HttpMetrics(Collector):
    """Filled when somebody asks for them."""

    def __init__(self) -> None:
        """Has the library make its metrics."""
        self._made = _Made()
        metrics.default(registry=self._made)
        self._noted: dict[_Kind, list[_Noted]] = {}

    def observe(self, ended: Ended) -> None:
        """Count a request, under the path of its route; what has none is `none`."""
        route = ended.route
        method = ended.scope["method"] if route else "none"
        kind = _Kind(method, route or "none", str(ended.status))
        noted = self._noted.get(kind)
        if noted is None:
            noted = self._noted[kind] = []
        noted.append(
            _Noted(_length(ended.scope["headers"]), _length(ended.answered_with), ended.took_s)
        )
        if len(noted) >= _MOST_NOTED:
            self._add_up(kind)

    def collect(self) -> Iterable[Metric]:
        """All of them, of all requests so far."""
        for kind in list(self._noted):
            self._add_up(kind)
        return self._made.collect()

    def _add_up(self, kind: _Kind) -> None:
        noted, made = self._noted.pop(kind), self._made.by_name
        handler = {"handler": kind.handler}
        made["http_requests"].labels(**kind._asdict()).inc(len(noted))
        for name, sizes in (
            ("http_request_size_bytes", [it.request_bytes for it in noted]),
            ("http_response_size_bytes", [it.response_bytes for it in noted]),
        ):
            summary = made[name].labels(**handler)
            summary._count.inc(len(sizes))
            summary._sum.inc(sum(sizes))
        times_s = [it.took_s for it in noted]
        observe_all(made["http_request_duration_highr_seconds"], times_s)
        by_handler = made["http_request_duration_seconds"]
        observe_all(by_handler.labels(**handler, method=kind.method), times_s)


class _Made(CollectorRegistry):
    """The library keeps its metrics to itself, but for registering them."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, Any] = {}

    def register(self, collector: Collector) -> None:
        super().register(collector)
        (family,) = collector.describe()  # type: ignore[attr-defined]  # all of the library's have it
        self.by_name[family.name] = collector


def _length(headers: Headers) -> int:
    """What they say of the body."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


_METRICS = HttpMetrics()
REGISTRY.register(_METRICS)
observe_http = _METRICS.observe
