"""A body that is too large, told before it is read or while it is."""

import asyncio
import gc

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.errors import RequestTooLargeError
from app.middleware.body_limit import BodyLimit
from engine.errors import OverloadedError


def read(chunks: list[bytes], length: bytes | None) -> tuple[int, int]:
    """How many bytes were read, and in how many pieces, before it was refused or ended."""
    left = list(chunks)
    seen = bytearray()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            seen.extend(message["body"])
            if not message["more_body"]:
                return

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [] if length is None else [(b"content-length", length)]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    try:
        asyncio.run(BodyLimit(app, 10, 0)(scope, receive, send))
    except RequestTooLargeError:
        return len(seen), -1
    return len(seen), len(chunks) - len(left)


def test_a_body_of_the_largest_size_is_read() -> None:
    assert read([b"12345", b"67890"], b"10") == (10, 2)
    assert read([b"12345", b"67890"], None) == (10, 2)


def test_a_declared_length_is_refused_before_anything_is_read() -> None:
    assert read([b"12345", b"67890", b"1"], b"11") == (0, -1)


@pytest.mark.parametrize("length", [None, b"ten", b"-1"], ids=repr)
def test_without_a_length_bytes_are_counted_as_they_come(length: bytes | None) -> None:
    assert read([b"12345", b"67890", b"1", b"2"], length) == (10, -1)


def test_all_that_are_in_hand_have_a_limit_together() -> None:
    large = b"x" * 100_000
    release = asyncio.Event()
    in_hand = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal in_hand
        del scope, send
        await receive()
        in_hand += 1
        await release.wait()

    async def receive() -> Message:
        return {"type": "http.request", "body": large, "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    limit = BodyLimit(app, 0, 3 * len(large))

    async def ask(size: int) -> None:
        headers = [(b"content-length", str(size).encode())]
        await limit({"type": "http", "headers": headers}, receive, send)

    async def scene() -> None:
        asking = [asyncio.create_task(ask(len(large))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="bodies in hand"):
            await ask(len(large))
        assert in_hand == 3
        small = asyncio.create_task(ask(10))  # not counted, whatever comes
        await asyncio.sleep(0)
        assert in_hand == 4
        release.set()
        await asyncio.gather(*asking, small)
        await ask(len(large))

    asyncio.run(scene())


class Knot:
    """Refers to itself, so that only the garbage collector sees that it is over."""

    tied = 0

    def __init__(self, body: bytes) -> None:
        self.body, self.me = body, self
        Knot.tied += 1

    def __del__(self) -> None:
        Knot.tied -= 1


def test_large_bodies_in_knots_do_not_gather() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        Knot((await receive())["body"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * (1 << 20), "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async def many() -> int:
        limit = BodyLimit(app, 0, 0)
        most = 0
        for _ in range(100):
            await limit(
                {"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send
            )
            most = max(most, Knot.tied)
        return most

    gc.disable()
    try:
        assert asyncio.run(many()) <= 17
    finally:
        gc.enable()
