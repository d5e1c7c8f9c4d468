"""Traces of requests, by OpenTelemetry: where the time went, never what was said.

A span for the request, below it one for what the model did, and below that one for each part of
it. What OpenTelemetry recommends for HTTP servers and for generative models is followed:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (1.37).
"""

import sys
import time
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from app.observability.ended import Ended
from app.trace_settings import TraceSettings
from engine.account import Account, Steps

_NS = 1_000_000_000
_CONTEXT = TraceContextTextMapPropagator()
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
_SERVER_ERROR = 500


class Tracing:
    """Sends spans in batches, from a thread of its own."""

    def __init__(self, settings: TraceSettings, version: str) -> None:
        """What `settings` have not, OpenTelemetry reads from its own variables."""
        names = {"service.name": settings.otel_service_name, "service.version": version}
        self._provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
        exporter = _exporter(settings)
        if exporter is not None:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("unigate", version)

    def begin(self, scope: Scope) -> "RequestSpan":
        """A request has come; it may be a part of the client's trace."""
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        above = _CONTEXT.extract(carrier)
        span = self._tracer.start_span(scope["method"], above, SpanKind.SERVER)
        return RequestSpan(self._tracer, span)

    def flush(self) -> None:
        """Send what is left; blocks until it has been taken, or given up."""
        self._provider.force_flush()


class RequestSpan:
    """One request, from its headers to the end of its answer."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def trace_id(self) -> str:
        """As `traceparent` has it."""
        return format_trace_id(self._span.get_span_context().trace_id)

    @property
    def traceparent(self) -> str:
        """For whoever is asked on behalf of the request."""
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(self._span))
        return carrier.get("traceparent", "")

    def end(self, ended: Ended) -> None:
        """It has been answered, or left."""
        span = self._span
        if span.is_recording():
            if ended.route:
                span.update_name(f"{ended.scope['method']} {ended.route}")
            span.set_attributes(_http(ended))
            if ended.status >= _SERVER_ERROR or not ended.is_complete:
                span.set_status(Status(StatusCode.ERROR))
            if ended.account.model:
                self._add_inference(ended)
        span.end()

    def _add_inference(self, ended: Ended) -> None:
        mine = ended.account
        operation = _OPERATIONS.get(ended.route or "", "inference")
        # The engine's clock, which is the machine's and not the calendar's.
        ahead_ns = time.time_ns() - time.monotonic_ns()
        parts = _parts(mine)
        if not parts:
            return
        began_s, ended_s = parts[0][1], parts[-1][2]
        inference = self._tracer.start_span(
            f"{operation} {mine.model}",
            set_span_in_context(self._span),
            attributes={"gen_ai.operation.name": operation, **_gen_ai(mine)},
            start_time=int(began_s * _NS) + ahead_ns,
        )
        above = set_span_in_context(inference)
        for name, from_s, to_s in parts:
            part = self._tracer.start_span(name, above, start_time=int(from_s * _NS) + ahead_ns)
            part.end(int(to_s * _NS) + ahead_ns)
        inference.end(int(ended_s * _NS) + ahead_ns)


def _parts(mine: Account) -> list[tuple[str, float, float]]:
    """What was done one after the other, as far as it came: name, begin, end (monotonic, s)."""
    steps = mine.read().steps or Steps()
    times = (
        mine.came_at_s,
        mine.admitted_at_s,
        steps.queued_s,
        steps.scheduled_s,
        steps.first_token_s,
        steps.last_token_s,
    )
    names = ("wait", "render", "queue", "prefill", "decode")
    return [
        (name, from_s, to_s)
        for name, from_s, to_s in zip(names, times, times[1:], strict=False)
        if from_s and to_s and from_s < to_s
    ]


def _http(ended: Ended) -> Mapping[str, str | int]:
    scope = ended.scope
    attributes: dict[str, str | int | None] = {
        "http.request.method": scope["method"],
        "http.route": ended.route,
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "http.response.status_code": ended.status or None,
        "network.protocol.version": scope["http_version"],
        "error.type": ended.code or (None if ended.is_complete else "abandoned"),
        "unigate.request.id": ended.request_id,
        "unigate.key": ended.key,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _gen_ai(mine: Account) -> Mapping[str, str | int]:
    spent = mine.read()
    return {
        "gen_ai.provider.name": "unigate",
        "gen_ai.request.model": mine.model,
        "gen_ai.response.model": mine.model,
        "gen_ai.usage.input_tokens": spent.prompt_tokens,
        "gen_ai.usage.output_tokens": spent.output_tokens,
    }


def _exporter(settings: TraceSettings) -> SpanExporter | None:
    if settings.otel_traces_exporter == "none":
        return None
    if settings.otel_traces_exporter == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    # Each brings libraries that the other does not need.
    if settings.otel_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # noqa: PLC0415

        return grpc.OTLPSpanExporter(settings.otel_traces_endpoint or settings.otel_endpoint)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http  # noqa: PLC0415

    base = settings.otel_endpoint
    url = settings.otel_traces_endpoint or (base and f"{base.rstrip('/')}/v1/traces")
    return http.OTLPSpanExporter(url)
