"""HTTP's metrics, as prometheus-fastapi-instrumentator names and counts them.

vLLM's own server has them from the same library, and dashboards know them. Its middleware would
match each request's route a second time, so it is told what the access log knows.
"""

from prometheus_fastapi_instrumentator import metrics

from app.observability.ended import Ended, Headers

_instrument = metrics.default()


class _Sized:
    """What the library asks of requests and responses: how long they say that they are."""

    __slots__ = ("headers",)

    def __init__(self, headers: Headers) -> None:
        length = next((value for name, value in headers if name == b"content-length"), b"")
        self.headers = {"Content-Length": int(length) if length.isdigit() else 0}


def observe_http(ended: Ended) -> None:
    """Count a request, under the path of its route; what has none is `none`."""
    assert _instrument is not None  # nobody else has registered them
    route = ended.route
    _instrument(
        metrics.Info(
            request=_Sized(ended.scope["headers"]),  # type: ignore[arg-type]  # all that is asked of it
            response=_Sized(ended.answered_with),  # type: ignore[arg-type]  # as above
            method=ended.scope["method"] if route else "none",
            modified_handler=route or "none",
            modified_status=str(ended.status),
            modified_duration=ended.took_s,
        )
    )
