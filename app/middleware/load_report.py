"""Tells whoever asks how busy the server is, with every answer: ORCA's header.

Gateways and load balancers ask for it (Envoy, GKE's). The format is vLLM's:
https://github.com/cncf/xds/blob/main/xds/data/orca/v3/orca_load_report.proto
"""

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from app.reply import reply_to
from engine import Engine

_ASKED = b"endpoint-load-metrics-format"
_ANSWER = b"endpoint-load-metrics"


class LoadReport:
    """Costs nothing where nobody asks."""

    def __init__(self, app: ASGIApp, engine: Engine) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its answer gets the header as it begins."""
        wanted = next((value for name, value in scope["headers"] if name == _ASKED), b"").upper()
        if wanted in (b"TEXT", b"JSON"):
            reply_to(scope).add_by(lambda: [(_ANSWER, wanted + b" " + self._report(wanted))])
        await self._app(scope, receive, send)

    def _report(self, wanted: bytes) -> bytes:
        load = self._engine.load
        figures = {
            "kv_cache_usage_perc": load.kv_cache_usage,
            "num_requests_waiting": float(load.waiting),
        }
        if wanted == b"JSON":
            return orjson.dumps({"named_metrics": figures})
        return ", ".join(f"named_metrics.{name}={it}" for name, it in figures.items()).encode()
