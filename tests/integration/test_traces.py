"""Traces of real requests, as a collector receives them."""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.observability.ended import Ended
from app.observability.tracing import Tracing
from app.settings import read
from engine.account import Account
from tests.support.collector import Collector, attributes, grpc_collector, http_collector
from tests.support.program import run
from tests.support.server import Server
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
PRIVATE = "A sentence that nobody else may read."
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": PRIVATE}], "max_tokens": 4}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with http_collector() as here:
        yield here


@pytest.fixture(scope="module")
def traced(
    demo: Path, slow: float, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("traced") / "log"
    environment = {
        "NIM_ENABLE_OTEL": "1",
        "NIM_OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "here",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


def own_id(server: Server, answer: httpx.Response) -> str:
    """The trace of a request that was answered."""
    pattern = re.compile(rf"request_id={answer.headers['x-request-id']} .* trace_id=(\w+)")
    wait_until(lambda: pattern.search(server.log), within_s=5, what="its line is there")
    found = pattern.search(server.log)
    assert found
    return found[1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_is_a_part_of_its_clients_trace(
    traced: Server, collector: Collector, stream: bool
) -> None:
    trace = TRACE[:-1] + str(int(stream))
    headers = {"traceparent": f"00-{trace}-{PARENT}-01", "tracestate": "a=b"}
    answer = traced.post(CHAT, ASK | {"stream": stream}, headers=headers)
    assert answer.status_code == 200
    spans = {span.name: span for span in collector.wait_for(trace, 6)}
    whole = spans[f"POST {CHAT}"]
    assert whole.parent_span_id.hex() == PARENT
    assert whole.trace_state == "a=b"
    assert whole.kind == whole.SPAN_KIND_SERVER
    said = attributes(whole)
    assert said["http.request.method"] == "POST"
    assert said["http.route"] == said["url.path"] == CHAT
    assert said["http.response.status_code"] == 200
    assert said["unigate.request.id"] == answer.headers["x-request-id"]
    inference = spans["chat unigate-demo"]
    assert inference.parent_span_id == whole.span_id
    said = attributes(inference)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.request.model"] == said["gen_ai.response.model"] == "unigate-demo"
    assert said["gen_ai.usage.output_tokens"] == 4
    assert said["gen_ai.usage.input_tokens"] > 4
    parts = [spans[name] for name in ("render", "queue", "prefill", "decode")]
    assert {part.parent_span_id for part in parts} == {inference.span_id}
    times = [
        whole.start_time_unix_nano,
        *(part.start_time_unix_nano for part in parts),
        parts[-1].end_time_unix_nano,
        whole.end_time_unix_nano,
    ]
    assert times == sorted(times)
    assert f"trace_id={trace}" in traced.log


def test_without_one_it_begins_a_trace(traced: Server, collector: Collector) -> None:
    answer = traced.post(CHAT, ASK)
    (whole,) = [it for it in collector.wait_for(own_id(traced, answer), 6) if not it.parent_span_id]
    assert whole.name == f"POST {CHAT}"
    assert collector.resource()["service.name"] == "here"
    assert collector.resource()["deployment.environment.name"] == "test"


@pytest.mark.parametrize(
    "traceparent",
    ["", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}", f"ff-{TRACE}-{PARENT}-01"],
)
def test_a_trace_that_is_none_is_not_continued(
    traced: Server, collector: Collector, traceparent: str
) -> None:
    answer = traced.get("/v1/models", headers={"traceparent": traceparent})
    (span,) = collector.wait_for(own_id(traced, answer), 1)
    assert not span.parent_span_id


def test_what_is_not_sampled_is_not_sent(traced: Server, collector: Collector) -> None:
    trace = TRACE[::-1]
    traced.get("/v1/models", headers={"traceparent": f"00-{trace}-{PARENT}-00"})
    collector.wait_for(own_id(traced, traced.get("/v1/models")), 1)
    assert trace not in {span.trace_id.hex() for span in collector.spans}


def test_errors_are_told_with_their_codes(traced: Server, collector: Collector) -> None:
    answer = traced.post(CHAT, {"messages": "none"})
    (span,) = collector.wait_for(own_id(traced, answer), 1)
    said = attributes(span)
    assert said["http.response.status_code"] == 400
    assert said["error.type"] == "invalid_request"
    assert span.status.code == span.status.STATUS_CODE_UNSET  # it is the client's


def test_probes_are_no_traces_and_nothing_that_was_said_is_in_one(
    traced: Server, collector: Collector
) -> None:
    traced.get("/v1/health/ready")
    collector.wait_for(own_id(traced, traced.post(CHAT, ASK)), 6)
    assert not any("health" in span.name for span in collector.spans)
    assert PRIVATE not in str(collector.spans)


def test_the_last_are_sent_when_the_server_ends(traced: Server, collector: Collector) -> None:
    trace = "0" * 31 + "1"
    traced.get("/v1/models", headers={"traceparent": f"00-{trace}-{PARENT}-01"})
    traced.process.send_signal(signal.SIGTERM)
    assert traced.wait_for_exit(within_s=15) == 0
    assert any(span.trace_id.hex() == trace for span in collector.spans)


def test_a_collector_that_hangs_does_not_hold_up_the_end(
    demo: Path, slow: float, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {
            "NIM_ENABLE_OTEL": "1",
            "NIM_OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        log = tmp_path / "log"
        with Server(str(demo), log=log, slow=slow, environment=environment) as server:

            def is_traced() -> bool:
                server.get("/v1/models")
                return "trace_id=" in server.log

            wait_until(is_traced, within_s=20, what="a request is traced")
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=12) == 0
    assert "Traceback" not in server.log


def test_a_collector_may_speak_grpc() -> None:
    with grpc_collector() as collector:
        settings = read(
            {
                "NIM_ENABLE_OTEL": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            }
        ).settings
        tracing = Tracing(settings, "1")
        scope: dict[str, Any] = {
            "method": "GET", "path": "/", "scheme": "http", "http_version": "1.1", "headers": [],
        }  # fmt: skip
        span = tracing.begin(scope)
        span.end(
            Ended(
                scope=scope,
                account=Account(),
                status=200,
                answered_with=(),
                is_complete=True,
                took_s=0.1,
            )
        )
        tracing.flush()
        (sent,) = collector.spans
        assert sent.trace_id.hex() == span.trace_id
        # What others are asked on its behalf is below it.
        assert span.traceparent.startswith(f"00-{span.trace_id}-{sent.span_id.hex()}-")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger", "otlp, console, none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf, grpc"),
    ],
)
def test_what_cannot_be_sent_that_way_ends_the_start(
    demo: Path, name: str, value: str, said: str
) -> None:
    done = run("unigate", "serve", str(demo), NIM_ENABLE_OTEL="1", **{name: value})
    assert done.returncode == 2
    assert name in done.stderr
    assert said in done.stderr
    # Where there are no traces, it is somebody else's.
    assert not read({name: value}).settings.enable_otel
