"""A bug of ours is an answer, unless an answer has begun."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.middleware.bug import Bug
from app.middleware.request_id import RequestId


def run(begun: bool) -> list[Message]:
    sent: list[Message] = []

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("secret detail")

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(RequestId(Bug(broken))(scope, receive, send))
    return sent


def test_it_is_answered_in_the_error_shape_without_its_details() -> None:
    start, body = run(begun=False)
    assert start["status"] == 500
    assert b'"code":"server_error"' in body["body"]
    assert b"secret" not in body["body"]


def test_an_answer_that_has_begun_is_cut() -> None:
    with pytest.raises(RuntimeError):
        run(begun=True)
