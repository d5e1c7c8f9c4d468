"""The answer to a request, and what is left of it."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from starlette.types import Message

from app.middleware.request_id import RequestId
from app.reply import reply_to


class Cycle:
    """A request of uvicorn's, which has its scope, and whose `send` is a method of it."""

    def __init__(self) -> None:
        self.scope: Any = {"type": "http", "path": "/", "headers": []}
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def nothing() -> Message:
    raise AssertionError


def asked(app: Any) -> Cycle:
    cycle = Cycle()
    asyncio.run(RequestId(app)(cycle.scope, nothing, cycle.send))
    return cycle


async def answering(scope: Any, receive: Any, send: Any) -> None:
    reply_to(scope).add_by(lambda: [(b"made", b"late")])
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b""})


def test_it_has_what_was_added_and_is_known_afterwards() -> None:
    cycle = asked(answering)
    reply = reply_to(cycle.scope)
    assert (reply.status, reply.is_complete) == (200, True)
    assert dict(cycle.sent[0]["headers"])[b"made"] == b"late"


def test_an_ended_request_leaves_nothing_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        cycle = asked(answering)
        left = weakref.ref(cycle)
        del cycle
        assert left() is None
    finally:
        gc.enable()


def test_nothing_is_sent_behind_the_end() -> None:
    kept: list[Any] = []

    async def keeping(scope: Any, receive: Any, send: Any) -> None:
        await answering(scope, receive, send)
        kept.append(send)

    cycle = asked(keeping)
    with pytest.raises(RuntimeError, match=r"http.response.body after"):
        asyncio.run(kept[0]({"type": "http.response.body", "body": b"x"}))
    assert len(cycle.sent) == 2
