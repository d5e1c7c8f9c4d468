"""A body that is too large, told before it is read or while it is."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.errors import RequestTooLargeError
from app.middleware.body_limit import BodyLimit


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
        asyncio.run(BodyLimit(app, 10)(scope, receive, send))
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
