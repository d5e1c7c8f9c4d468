"""One line per request, when it has ended."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.http_metrics import Headers, observe_http
from app.observability.metrics import observe_outcome
from engine.account import Account, account

log = logging.getLogger("app.access")

_QUIET = "/v1/health/"
# vLLM's server does not count what asks for its metrics either.
_SCRAPES = "/v1/metrics"


class AccessLog:
    """Who asked for what, what became of it and what it cost; never a query, a header or a body.

    Probes are not logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and write its line."""
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        mine = Account()
        account.set(mine)  # a request is a task, so nobody else sees it
        status = 0
        answered_with: Headers = ()
        complete = False

        async def observe(message: Message) -> None:
            nonlocal status, answered_with, complete
            if message["type"] == "http.response.start":
                status, answered_with = message["status"], message.get("headers", ())
            elif not message.get("more_body", False):
                complete = True
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            state = scope.get("state", {})
            code = state.get("code")
            took_s = time.perf_counter() - started_s
            observe_outcome(code, complete=complete)
            if scope["path"] != _SCRAPES:
                observe_http(scope, status, answered_with, took_s)
            log.info(
                "request",
                extra={
                    "request_id": state.get("request_id", ""),
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    # The client left before the answer was complete.
                    "outcome": "answered" if complete else "abandoned",
                    **({"code": code} if code is not None else {}),
                    "ms": _ms(took_s),
                    **_who(scope),
                    **_spent(mine),
                },
            )


def _who(scope: Scope) -> dict[str, Any]:
    """Who has proved who it is: the name of a key, the subject of a certificate."""
    who = {"key": scope.get("state", {}).get("key")}
    who["client"] = scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
    return {name: value for name, value in who.items() if value}


def _spent(mine: Account) -> dict[str, Any]:
    """What the engine did, if it did anything."""
    spent = mine.read()
    if not spent.prompt_tokens:
        return {}
    times = {"queued_ms": spent.queued_s, "ttft_ms": spent.first_token_s}
    return {
        "model": mine.model,
        "prompt_tokens": spent.prompt_tokens,
        "output_tokens": spent.output_tokens,
        **{name: _ms(time_s) for name, time_s in times.items() if time_s is not None},
    }


def _ms(time_s: float) -> float:
    return round(time_s * 1000, 1)
