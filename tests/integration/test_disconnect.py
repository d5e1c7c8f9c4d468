"""A request whose client leaves is aborted in the engine, wherever it is."""

import contextlib
import socket
from typing import Any

import pytest

from tests.support.connection import posted
from tests.support.load import engine_load, is_idle
from tests.support.server import Server
from tests.support.wait import wait_until

_LONG = {"max_tokens": 15_000, "ignore_eos": True, "temperature": 1.0}
_CHAT = "/v1/chat/completions"


def chat(streamed: bool, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me a long story."}]
    return {"messages": messages, "stream": streamed, **_LONG, **fields}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("n", [1, 3])
def test_in_decode(server: Server, streamed: bool, n: int) -> None:
    with posted(server, _CHAT, json=chat(streamed, n=n)):
        wait_until(
            lambda: engine_load(server)["running"] == n, within_s=20, what=f"{n} are running"
        )
    wait_until(lambda: is_idle(server), within_s=5, what="the engine is idle again")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("route", ["completions", "messages", "responses"])
def test_in_decode_on_other_routes(server: Server, streamed: bool, route: str) -> None:
    fields = {
        "completions": {"prompt": "Once upon a time", **_LONG},
        "messages": {**chat(streamed), "model": "unigate-demo", "top_k": 0, "temperature": 2},
        "responses": {"input": "Hi", "max_output_tokens": 9000, "ignore_eos": True},
    }[route]
    with posted(server, f"/v1/{route}", json={**fields, "stream": streamed}):
        wait_until(lambda: engine_load(server)["running"] == 1, within_s=20, what="it is running")
    wait_until(lambda: is_idle(server), within_s=5, what="the engine is idle again")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_in_prefill(server: Server, streamed: bool) -> None:
    # Long enough that prefill takes several steps of the engine.
    body = {"prompt": [[7] * 7500] * 6, "stream": streamed, **_LONG, "max_tokens": 500}
    with posted(server, "/v1/completions", json=body) as connection:
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
            stack.enter_context(posted(server, _CHAT, json=chat(True)))
        wait_until(
            lambda: engine_load(server)["running"] == 4, within_s=20, what="the engine is full"
        )
        with posted(server, _CHAT, json=chat(streamed)):
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
    with posted(server, _CHAT, json=chat(True, max_tokens=6000)):
        answer = server.post("/v1/completions", {"prompt": "x", "max_tokens": 4}, timeout=20)
        assert answer.status_code == 200
    wait_until(lambda: is_idle(server), within_s=10, what="the engine is idle again")
