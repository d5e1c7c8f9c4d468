"""A request whose client leaves is aborted in the engine, wherever it is."""

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Server
from tests.support.wait import wait_until

_RUNNING = re.compile(r"^vllm:num_requests_(running|waiting)\{.*\} ([0-9.]+)$", re.MULTILINE)
_LONG = {"max_tokens": 15_000, "ignore_eos": True, "temperature": 1.0}

# Its first field → the route of a request.
PATHS = {
    "max_output_tokens": "/v1/responses",
    "top_k": "/v1/messages",
    "messages": "/v1/chat/completions",
    "prompt": "/v1/completions",
}


def engine_load(server: Server) -> dict[str, float]:
    """Requests running and waiting, by the engine's own count."""
    return {name: float(value) for name, value in _RUNNING.findall(server.get("/v1/metrics").text)}


def is_idle(server: Server) -> bool:
    return set(engine_load(server).values()) == {0.0} and (
        server.get("/v1/health/ready").json()["requests"] == 0
    )


@contextlib.contextmanager
def request(server: Server, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A request on a raw connection, that can be dropped at any moment."""
    path = next(path for field, path in PATHS.items() if field in body)
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + data)
        yield connection


def chat(streamed: bool, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me a long story."}]
    return {"messages": messages, "stream": streamed, **_LONG, **fields}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("n", [1, 3])
def test_in_decode(server: Server, streamed: bool, n: int) -> None:
    with request(server, chat(streamed, n=n)):
        wait_until(
            lambda: engine_load(server)["running"] == n, within_s=20, what=f"{n} are running"
        )
    wait_until(lambda: is_idle(server), within_s=5, what="the engine is idle again")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["messages", "responses"])
def test_in_decode_in_other_dialects(server: Server, streamed: bool, dialect: str) -> None:
    fields = {
        "messages": {**chat(streamed), "model": "unigate-demo", "top_k": 0, "temperature": 2},
        "responses": {"input": "Hi", "max_output_tokens": 9000, "ignore_eos": True},
    }[dialect]
    with request(server, {**fields, "stream": streamed}):
        wait_until(lambda: engine_load(server)["running"] == 1, within_s=20, what="it is running")
    wait_until(lambda: is_idle(server), within_s=5, what="the engine is idle again")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_in_prefill(server: Server, streamed: bool) -> None:
    # Long enough that prefill takes several steps of the engine.
    body = {"prompt": [[7] * 7500] * 6, "stream": streamed, **_LONG, "max_tokens": 500}
    with request(server, body) as connection:
        if streamed:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        wait_until(
            lambda: sum(engine_load(server).values()) > 0, within_s=20, what="prefill has begun"
        )
    wait_until(lambda: is_idle(server), within_s=20, what="the engine is idle again")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_in_the_queue(server: Server, streamed: bool) -> None:
    with contextlib.ExitStack() as stack:
        # The session's server runs 4 sequences at a time.
        for _ in range(4):
            stack.enter_context(request(server, chat(True)))
        wait_until(
            lambda: engine_load(server)["running"] == 4, within_s=20, what="the engine is full"
        )
        with request(server, chat(streamed)):
            wait_until(
                lambda: engine_load(server)["waiting"] == 1, within_s=20, what="one is waiting"
            )
        wait_until(
            lambda: engine_load(server) == {"running": 4, "waiting": 0},
            within_s=10,
            what="the queue is empty while the others run on",
        )
    wait_until(lambda: is_idle(server), within_s=10, what="the engine is idle again")


def test_while_sending_the_body(server: Server) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + b"content-length: 1000\r\n\r\n{")
    assert server.post("/v1/completions", {"prompt": "x", "max_tokens": 1}).status_code == 200
    wait_until(lambda: is_idle(server), within_s=5, what="nothing is in flight")


def test_a_client_that_reads_nothing_does_not_stop_the_others(server: Server) -> None:
    with request(server, chat(True, max_tokens=6000)):
        answer = server.post("/v1/completions", {"prompt": "x", "max_tokens": 4}, timeout=20)
        assert answer.status_code == 200
    wait_until(lambda: is_idle(server), within_s=10, what="the engine is idle again")
