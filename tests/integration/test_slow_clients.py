"""Clients that take their time, or say too much: raw sockets at a real port, a plain answer."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.answering import read_anything
from app.settings import read
from app.wire import wire_of
from tests.support.certificates import Certificates
from tests.support.doors import served

# Connections are looked at once a second.
LIMIT_S = 1
LATEST_S = LIMIT_S + 2
LARGE = 64 << 20
LIMITS = {
    "UNIGATE_HEADER_TIMEOUT_S": str(LIMIT_S),
    "UNIGATE_BODY_TIMEOUT_S": str(LIMIT_S),
    "UNIGATE_SEND_TIMEOUT_S": str(LIMIT_S),
    "UNIGATE_KEEP_ALIVE_S": str(LIMIT_S),
    "UNIGATE_STREAM_COMMENT_S": str(LIMIT_S),
    "UNIGATE_MAX_CONNECTIONS": "4",
}
POST = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells how long the body was; `/large` has a long answer, `/silence` a stream without any."""
    body = await read_anything(scope, receive)
    if body is None:
        return
    if scope["path"] == "/silence":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        wire = wire_of(scope)
        wire.is_streaming = True
        await asyncio.sleep(3.5 * LIMIT_S)
        wire.write(b"data: end\n\n")
        wire.is_streaming = False
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * LATEST_S)
    content = b"x" * LARGE if scope["path"] == "/large" else str(len(body)).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app, read(LIMITS).settings) as (found, _):
        yield found


class Client:
    """A connection that sends what it is told, and no more."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LATEST_S)
        self._began_s = time.monotonic()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def drip(self, data: bytes) -> None:
        """Byte by byte, until the other side has had enough."""
        for byte in data:
            try:
                self._socket.sendall(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)
            if time.monotonic() - self._began_s > LATEST_S:
                return

    def read(self, size: int = 65536) -> bytes:
        """What has come; empty at the end, however that came about."""
        try:
            return self._socket.recv(size)
        except ConnectionResetError:
            return b""

    def rest(self) -> bytes:
        """All until the end, which must not be far."""
        parts = []
        while part := self.read():
            parts.append(part)
        return b"".join(parts)


def answer(said: bytes) -> tuple[int, Any]:
    """Status and body of an answer that ends the connection."""
    head, _, body = said.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = {line.partition(b":")[0] for line in lines}
    assert {b"content-type", b"content-length", b"x-request-id"} <= names
    assert b"connection: close" in lines
    return int(lines[0].split()[1]), json.loads(body)


def code_of(said: bytes, status: int) -> str:
    found, body = answer(said)
    assert found == status
    assert body["error"]["message"]
    code: str = body["error"]["code"]
    return code


def test_one_that_says_nothing_is_hung_up_on(port: int) -> None:
    with Client(port) as client:
        assert client.rest() == b""


def test_headers_that_drip_in_are_not_waited_for(port: int) -> None:
    with Client(port) as client:
        client.drip(b"GET / HTTP/1.1\r\nx: " + b"y" * 1000)
        assert code_of(client.rest(), 408) == "request_timeout"


def test_neither_is_a_body(port: int) -> None:
    with Client(port) as client:
        client.send(POST % (b"/", 1000))
        client.drip(b"x" * 1000)
        assert code_of(client.rest(), 408) == "request_timeout"


def test_it_is_said_in_the_words_of_the_route(port: int) -> None:
    with Client(port) as client:
        client.send(POST % (b"/v1/messages", 1000))
        status, body = answer(client.rest())
        assert (status, body["type"], body["error"]["code"]) == (408, "error", "request_timeout")


def test_a_chunked_body_without_end_is_a_body(port: int) -> None:
    with Client(port) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        client.drip(b"1\r\nx\r\n" * 100)
        assert code_of(client.rest(), 408) == "request_timeout"


def test_a_slow_line_is_no_attack(port: int) -> None:
    parts, size = 30, 16 << 10
    with Client(port) as client:
        client.send(POST % (b"/", parts * size))
        for _ in range(parts):
            client.send(b"x" * size)
            time.sleep(0.1)
        assert client.read().endswith(str(parts * size).encode())


def test_a_connection_is_not_kept_for_ever(port: int) -> None:
    with Client(port) as client:
        client.send(POST % (b"/", 0))
        assert client.read().startswith(b"HTTP/1.1 200")
        assert client.rest() == b""


def test_neither_is_one_whose_next_request_does_not_come(port: int) -> None:
    with Client(port) as client:
        client.send(POST % (b"/", 0))
        assert client.read().startswith(b"HTTP/1.1 200")
        client.drip(b"\r\n" * 100)  # which may stand in front of it
        assert code_of(client.rest(), 408) == "request_timeout"


@pytest.mark.parametrize(
    "flood",
    [
        b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000,
        b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
    ],
    ids=["without-end", "one", "path", "many"],
)
def test_headers_have_an_end(port: int, flood: bytes) -> None:
    with Client(port) as client:
        client.send(flood)
        assert code_of(client.rest(), 431) == "headers_too_large"


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nx y: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\r\n b\r\n\r\n",
    ],
    ids=["tls", "version", "two-lengths", "two-framings", "chunk", "name", "folded"],
)
def test_what_is_no_http_is_told_so(port: int, noise: bytes) -> None:
    with Client(port) as client:
        client.send(noise)
        assert code_of(client.rest(), 400) == "not_http"


def test_one_that_does_not_read_loses_its_connection(port: int) -> None:
    with Client(port) as client:
        client.send(POST % (b"/large", 0))
        time.sleep(LATEST_S)
        assert len(client.rest()) < LARGE


def test_one_that_reads_slowly_keeps_it(port: int) -> None:
    got = 0
    with Client(port) as client:
        client.send(POST % (b"/large", 0))
        for _ in range(3 * LATEST_S):
            got += len(client.read(8 << 20))
            time.sleep(0.5)
        got += len(client.rest())
    assert got > LARGE


def test_a_silent_stream_is_heard_of(port: int) -> None:
    with httpx.stream("POST", f"http://127.0.0.1:{port}/silence") as stream:
        text = "".join(stream.iter_text())
    *comments, end, rest = text.split("\n\n")
    assert comments in ([": keep-alive"] * 2, [": keep-alive"] * 3)
    assert (end, rest) == ("data: end", "")


def test_an_answer_that_takes_long_is_waited_for(port: int) -> None:
    assert httpx.post(f"http://127.0.0.1:{port}/slow", timeout=3 * LATEST_S).text == "0"


def test_a_newcomer_takes_the_place_of_the_one_that_is_idle_for_longest(port: int) -> None:
    with ExitStack() as stack:
        oldest, *others = [stack.enter_context(Client(port)) for _ in range(4)]
        newcomer = stack.enter_context(Client(port))
        newcomer.send(POST % (b"/", 0))
        assert newcomer.read().startswith(b"HTTP/1.1 200")
        assert oldest.rest() == b""
        for other in others:
            other.send(POST % (b"/", 0))
            assert other.read().startswith(b"HTTP/1.1 200")


def test_where_all_are_busy_a_newcomer_is_told(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Client(port)).send(POST % (b"/slow", 0))
        time.sleep(0.2)
        said = stack.enter_context(Client(port)).rest()
        assert code_of(said, 503) == "too_many_connections"
        assert b"retry-after: 1" in said


def test_requests_may_be_sent_ahead(port: int) -> None:
    with Client(port) as client:
        client.send((POST % (b"/", 3) + b"abc") * 3 + POST % (b"/", 5) + b"ab")
        time.sleep(LIMIT_S / 2)
        client.send(b"cde")
        said = client.rest()
    assert said.count(b"HTTP/1.1 200") == 4
    assert said.endswith(b"5")


def test_one_that_asks_first_is_told_to_go_on(port: int) -> None:
    with Client(port) as client:
        client.send(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert client.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ab")
        assert client.read().endswith(b"2")


def test_a_handshake_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "tls")
    settings = read({**LIMITS, **files.variables("TLS")}).settings
    with served(app, settings) as (port, _), Client(port) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")
        assert client.rest() == b""
