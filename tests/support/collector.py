"""A collector of traces: OTLP's own messages, over its two protocols."""

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]  # no py.typed
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

from tests.support.wait import wait_until


class Collector:
    """What has been sent to it."""

    def __init__(self) -> None:
        self.url = ""
        self._received: list[Any] = []

    def take(self, request: Any) -> None:
        self._received.append(request)

    @property
    def spans(self) -> list[Any]:
        """All spans so far."""
        return [
            span
            for request in self._received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        """Who has sent the first of them."""
        return attributes(self._received[0].resource_spans[0].resource)

    def wait_for(self, trace_id: str, count: int) -> list[Any]:
        """The spans of a trace."""

        def found() -> list[Any]:
            return [span for span in self.spans if span.trace_id.hex() == trace_id]

        wait_until(lambda: len(found()) >= count, within_s=15, what=f"{count} spans have come")
        return found()


def attributes(of: Any) -> dict[str, Any]:
    """Of a span or a resource, as Python's values."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in of.attributes}


@contextmanager
def http_collector() -> Iterator[Collector]:
    """One that speaks `http/protobuf`."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            collector.take(messages.ExportTraceServiceRequest.FromString(body))
            answer = messages.ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_collector() -> Iterator[Collector]:
    """One that speaks `grpc`."""
    collector = Collector()

    class Service(services.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # grpc's name
            del context
            collector.take(request)
            return messages.ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    services.add_TraceServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]  # generated
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
