"""One line per request, when it has ended."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("app.access")

_QUIET = "/v1/health/"


class AccessLog:
    """Method, path, status, time; never a query, a header or a body. Probes are not logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and write its line."""
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        status = 0
        complete = False

        async def observe(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False):
                complete = True
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            log.info(
                "request",
                extra={
                    "request_id": scope.get("state", {}).get("request_id", ""),
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    # The client left before the answer was complete.
                    "outcome": "answered" if complete else "abandoned",
                    "ms": round((time.perf_counter() - started_s) * 1000, 1),
                    **_client(scope),
                },
            )


def _client(scope: Scope) -> dict[str, str]:
    """Who has proved who it is, by a certificate."""
    tls = scope.get("extensions", {}).get("tls")
    return {"client": tls["client_cert_name"]} if tls else {}
