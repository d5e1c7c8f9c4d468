"""Streams that go through ASGI's `send`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl

from app.outlet import Outlet
from app.relay import Relay, relay
from app.wire import Wire


def wire() -> Wire:
    transport = asyncio.Transport()
    return Wire(transport, FlowControl(transport), Outlet(transport))


def sent(write: Callable[[Relay], Awaitable[None]]) -> bytes:
    bodies: list[bytes] = []

    async def send(message: Message) -> None:
        assert message["type"] == "http.response.body"
        assert message["more_body"]
        await asyncio.sleep(0)
        bodies.append(message["body"])

    asyncio.run(relay(write, wire(), send))
    assert all(bodies)  # an empty one would say nothing
    return b"".join(bodies)


def test_everything_arrives_in_order_however_it_is_written() -> None:
    async def write(to: Relay) -> None:
        to.write(b"1")
        to.write()
        to.write(b"2", b"3")
        await asyncio.sleep(0.01)
        to.write(b"4")
        to.write_around(b"5", b"6", b"7")

    assert sent(write) == b"1234567"


def test_nothing_is_sent_where_nothing_is_written() -> None:
    async def write(_: Relay) -> None:
        await asyncio.sleep(0)

    assert sent(write) == b""


def test_a_slow_reader_makes_the_writer_wait() -> None:
    reads = asyncio.Event()

    async def scene() -> int:
        written = 0

        async def write(to: Relay) -> None:
            nonlocal written
            for _ in range(1000):
                written += 1
                if not to.write(bytes(1024)):
                    await to.drain()

        async def send(_: Message) -> None:
            await reads.wait()

        sending = asyncio.ensure_future(relay(write, wire(), send))
        await asyncio.sleep(0.05)
        waiting = written
        reads.set()
        await sending
        assert written == 1000
        return waiting

    # One body that is being sent, and one that gathers behind it.
    assert asyncio.run(scene()) == 128


def test_comments_go_the_same_way_while_it_lasts() -> None:
    async def scene() -> bytes:
        bodies: list[bytes] = []
        ours = wire()

        async def write(to: Relay) -> None:
            to.write(b"data: 1\n\n")
            ours.comment()

        async def send(message: Message) -> None:
            bodies.append(message["body"])

        await relay(write, ours, send)
        return b"".join(bodies)

    assert asyncio.run(scene()) == b"data: 1\n\n: keep-alive\n\n"


def test_an_error_of_the_writer_comes_behind_what_it_has_written() -> None:
    bodies: list[bytes] = []

    async def write(to: Relay) -> None:
        to.write(b"1")
        raise ValueError("broken")

    async def send(message: Message) -> None:
        bodies.append(message["body"])

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(relay(write, wire(), send))
    assert bodies == [b"1"]


def test_whoever_sends_ends_the_writer_when_that_fails_or_is_cancelled() -> None:
    async def scene(send: Any) -> bool:
        ended = False

        async def write(to: Relay) -> None:
            nonlocal ended
            try:
                to.write(b"1")
                await asyncio.Event().wait()
            finally:
                ended = True

        sending = asyncio.ensure_future(relay(write, wire(), send))
        await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait({sending})
        assert sending.cancelled() or isinstance(sending.exception(), ValueError)
        return ended

    async def fail(_: Message) -> None:
        raise ValueError("a policy")

    async def take(_: Message) -> None:
        pass

    assert asyncio.run(scene(fail))
    assert asyncio.run(scene(take))
