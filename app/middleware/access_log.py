"""Tells of each request when it has ended: in the log, in metrics, in traces."""

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.health import PROBES
from app.observability.ended import Ended
from app.observability.http_metrics import observe_http
from app.observability.metrics import observe_outcome
from app.reply import reply_to
from engine.account import Account, account

if TYPE_CHECKING:
    from app.observability.tracing import RequestSpan, Tracing

log = logging.getLogger("app.access")

# vLLM's server does not count what asks for its metrics either.
_SCRAPES = "/v1/metrics"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class AccessLog:
    """Who asked for what, what became of it and what it cost; never a query, a header or a body.

    Probes are not told of.
    """

    def __init__(self, app: ASGIApp, tracing: "Tracing | None" = None) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        mine = Account()
        account.set(mine)  # a request is a task, so nobody else sees it
        span = self._tracing.begin(scope) if self._tracing else None
        if span is not None:
            mine.traceparent = span.traceparent
        try:
            await self._app(scope, receive, send)
        finally:
            reply = reply_to(scope)
            ended = Ended(
                scope=scope,
                account=mine,
                status=reply.status,
                answered_with=reply.headers,
                is_complete=reply.is_complete,
                took_s=time.perf_counter() - started_s,
            )
            _tell(ended, span)


def _tell(ended: Ended, span: "RequestSpan | None") -> None:
    observe_outcome(ended.code, complete=ended.is_complete)
    if ended.scope["path"] != _SCRAPES:
        observe_http(ended)
    if span is not None:
        span.end(ended)
    if log.isEnabledFor(logging.INFO):
        log.handle(_line(_fields(ended, span.trace_id if span else None)))


def _line(fields: dict[str, Any]) -> logging.LogRecord:
    """As `Logger.info` would make it, which would look for its caller each time."""
    here = sys._getframe().f_lineno
    make = logging.getLogRecordFactory()
    record = make(log.name, logging.INFO, __file__, here, "request", (), None)
    vars(record).update(fields)
    return record


def _fields(ended: Ended, trace_id: str | None) -> dict[str, Any]:
    scope = ended.scope
    fields: dict[str, Any] = {
        "request_id": ended.request_id,
        "method": scope["method"],
        "path": scope["path"],
        "status": ended.status,
        # The client left before the answer was complete.
        "outcome": "answered" if ended.is_complete else "abandoned",
    }
    if ended.code:
        fields["code"] = ended.code
    if found := trace_id or _trace_id(scope):
        fields["trace_id"] = found
    # Who has proved who it is: the name of a key, the subject of a certificate.
    if key := ended.key:
        fields["key"] = key
    if client := ended.client:
        fields["client"] = client
    fields["ms"] = round(ended.took_s * 1000, 1)
    _add_spent(fields, ended.account)
    return fields


def _trace_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            found = _TRACEPARENT.fullmatch(value)
            return found and found[1].decode()
    return None


def _add_spent(fields: dict[str, Any], mine: Account) -> None:
    """What the engine did, if it did anything."""
    spent = mine.read()
    if not spent.prompt_tokens:
        return
    fields["model"] = mine.model
    fields["prompt_tokens"] = spent.prompt_tokens
    fields["output_tokens"] = spent.output_tokens
    if spent.queued_s is not None:
        fields["queued_ms"] = round(spent.queued_s * 1000, 1)
    if spent.first_token_s is not None:
        fields["ttft_ms"] = round(spent.first_token_s * 1000, 1)
