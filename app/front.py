"""The ASGI application that the server starts with: probes first, the rest when it is there.

Importing FastAPI and building the routes took half of the time to the first answer, and a probe
needs neither: eight starts in a row on two cores answered after 0.40 to 0.67 s, where they had
taken 0.96 to 1.17 s.
"""

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from app.dialect import OPENAI, Failure
from app.health import Health, Report

_NO_PROBE = Report(
    404,
    OPENAI.write(
        Failure(
            message="This port answers GET /v1/health/live, /ready and /startup.",
            status=404,
            type="invalid_request_error",
            code="route_not_found",
        ),
        "",
    ),
    {"content-type": "application/json"},
)


class Probes:
    """Answers probes and nothing else."""

    def __init__(self, health: Health, *, has_ping: bool = False) -> None:
        """`has_ping` says whether SageMaker's is among them."""
        self._reports: Mapping[str, Callable[[], Report]] = {
            "/v1/health/live": health.live,
            "/v1/health/ready": health.ready,
            "/v1/health/startup": health.startup,
            **({"/ping": health.ready} if has_ping else {}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whatever it is; what is no probe is not here."""
        del receive
        if not await self.answer(scope, send):
            await _send(_NO_PROBE, send)

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer a probe; whether it was one."""
        report = self._reports.get(scope["path"]) if scope["method"] == "GET" else None
        if report is not None:
            await _send(report(), send)
        return report is not None


class Front:
    """Passes requests on to the application, from when there is one; until then they wait."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._app: ASGIApp | None = None
        self._opened = asyncio.Event()

    def open(self, app: ASGIApp) -> None:
        """From now on `app` answers everything."""
        self._app = app
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe, or wait for the one that answers."""
        if self._app is None:
            if await self._probes.answer(scope, send):
                return
            await self._opened.wait()
        assert self._app is not None  # it is open
        await self._app(scope, receive, send)


async def _send(report: Report, send: Send) -> None:
    named = {**report.headers, "content-length": str(len(report.body))}
    headers = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": report.status, "headers": headers})
    await send({"type": "http.response.body", "body": report.body})
