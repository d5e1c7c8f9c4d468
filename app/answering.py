"""Carries a request to the engine and its answer back, and stops when the client leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, TypeVar, overload

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.errors import UnsupportedMediaTypeError, event_of
from app.relay import Relay, is_relayed, relay
from app.wire import Wire, wire_of
from engine import Answer, EngineError, Stream, Whole
from engine.account import Account, account
from engine.admission import Admission, Ticket
from engine.engine import Engine
from engine.errors import DeadlineExceededError
from engine.turnstile import Turnstile

Body = TypeVar("Body")
Read = Callable[[Scope, Receive], Awaitable[Body | None]]
"""Reads a request's body; None when the client left while sending it."""

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx would hold the tokens back.
    (b"x-accel-buffering", b"no"),
]


async def read_json(scope: Scope, receive: Receive) -> bytes | None:
    """A body that says it is JSON, as its bytes."""
    _require_json(scope)
    return await read_anything(scope, receive)


async def read_anything(scope: Scope, receive: Receive) -> bytes | None:
    """Whatever comes, where nothing is expected."""
    del scope
    parts: list[bytes] = []
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


class Answering(Response):
    """The response of every route that generates; what Starlette calls a response
    is an ASGI application, and this one does all of its work in that call.

    Reading the request is part of it: the engine is asked whether it takes work before the body is
    read, and again after, so that a slow upload cannot slip past a drain.
    """

    @overload
    def __init__(self, engine: Engine, ask: Callable[[bytes], Awaitable[Answer]]) -> None: ...

    @overload
    def __init__(
        self, engine: Engine, ask: Callable[[Body], Awaitable[Answer]], read: Read[Body]
    ) -> None: ...

    def __init__(
        self, engine: Engine, ask: Callable[[Any], Awaitable[Answer]], read: Read[Any] = read_json
    ) -> None:
        """`ask` gets what `read` has read."""
        super().__init__()
        self._engine = engine
        self._ask = ask
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises `EngineError` as long as nothing has been sent."""
        body = await self._read(scope, receive)
        if body is not None:
            await _unless_gone(scope, self._respond(body, scope, send))

    async def _respond(self, body: Any, scope: Scope, send: Send) -> None:
        engine = self._engine
        within = _Deadline(engine.request_timeout_s)
        mine = account.get()
        mine.came_at_s = mine.admitted_at_s = time.monotonic()
        mine.ticket = engine.admission.enter(mine.holder)
        if mine.ticket is None:
            _ = engine.serving  # who drains lets nobody wait
            async with within.left():
                mine.ticket = await _wait_in_line(engine.admission, mine, body)
        try:
            await engine.turnstile.enter(mine.turn)  # it has waited for its body, or in line
            _ = engine.serving  # raises when the state has changed meanwhile
            with engine.inflight.track():
                await self._answer(body, within, scope, send)
        finally:
            mine.ticket.leave()

    async def _answer(self, body: Any, within: "_Deadline", scope: Scope, send: Send) -> None:
        async with within.left():
            answer = await self._ask(body)
        match answer:
            case Whole() as whole:
                await self._engine.turnstile.enter()  # others may have ended in the same step
                await _send_whole(whole, scope, send)
            case Stream() as stream:
                await _send_stream(stream, within, scope, send, self._engine.turnstile)


async def _wait_in_line(admission: Admission, mine: Account, body: Any) -> Ticket:
    priority = _priority(body) if admission.honours_priority else 0
    ticket = await admission.wait(mine.holder, priority)
    mine.admitted_at_s = time.monotonic()
    return ticket


def _priority(body: Any) -> int:
    """The one that a JSON body has; what is wrong with it is said when it is its turn."""
    if isinstance(body, bytes) and b'"priority"' in body:
        with suppress(orjson.JSONDecodeError, AttributeError):
            priority = orjson.loads(body).get("priority")
            return priority if type(priority) is int else 0
    return 0


_NO_LIMIT = nullcontext()


class _Deadline:
    """When an answer has to be there; counted from now."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._at_s = limit_s and asyncio.get_running_loop().time() + limit_s

    def left(self) -> AbstractAsyncContextManager[None]:
        """End what is in here when it is due; raises `DeadlineExceededError`."""
        return self._left() if self._limit_s else _NO_LIMIT

    @asynccontextmanager
    async def _left(self) -> AsyncGenerator[None]:
        timeout = asyncio.timeout_at(self._at_s)
        try:
            async with timeout:
                yield
        except (TimeoutError, EngineError):
            # vLLM turns some cancellations into an error of its own.
            if self._limit_s and timeout.expired():
                raise DeadlineExceededError(self._limit_s) from None
            raise


async def _send_whole(whole: Whole, scope: Scope, send: Send) -> None:
    length = str(len(whole.body)).encode()
    headers = [(b"content-type", whole.media_type.encode()), (b"content-length", length)]
    # What stands in between may take its time once the answer has passed.
    with nullcontext() if is_relayed(scope) else wire_of(scope).in_one_piece():
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": whole.body})


async def _send_stream(
    stream: Stream, within: _Deadline, scope: Scope, send: Send, turnstile: Turnstile
) -> None:
    wire = wire_of(scope)

    async def write(to: Wire | Relay) -> None:
        try:
            async with within.left():
                await stream.run(to)
        except EngineError as error:
            to.write(event_of(error, scope, wire.written))

    try:
        # The answer begins before its first token: only then can the client be seen to leave.
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        wire.is_streaming = True
        await (relay(write, wire, send) if is_relayed(scope) else write(wire))
    finally:
        wire.is_streaming = False
        await stream.close()
    wire.unwatch()  # all is written: who leaves now has the answer
    await turnstile.enter()  # others may have ended in the same step
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _require_json(scope: Scope) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
            if media_type == b"application/json" or media_type.endswith(b"+json"):
                return
            break
    raise UnsupportedMediaTypeError("Send the body as 'Content-Type: application/json'.")


async def _unless_gone(scope: Scope, work: Awaitable[None]) -> None:
    """Await `work`, and cancel it when the client disconnects: in a queue, in prefill, anywhere."""
    task = asyncio.current_task()
    assert task is not None
    wire = wire_of(scope)
    left = False

    def leave() -> None:
        nonlocal left
        left = True
        task.cancel()

    if not wire.watch(leave):
        leave()
    try:
        await work
    except (asyncio.CancelledError, EngineError):
        # vLLM turns some cancellations into an error of its own; nobody is there to be told.
        if not left:
            raise
    finally:
        wire.unwatch()
        if left:
            task.uncancel()
