"""Answers that are there at the same moment leave one after the other, with others in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl

from app.answering import Answering
from app.observability.metrics import EngineMetrics
from app.outlet import Outlet
from app.wire import Wire, lend_wire
from engine import Answer, Engine, Stream, Whole
from engine.account import Account, account
from engine.state import StateMachine

MANY = 20
# Two are let in for each turn; a turn as it is counted here may have the ends of two.
MOST_IN_A_TURN = 4
Ask = Callable[[bytes], Awaitable[Answer]]


class Ready(Engine):
    """One that lets all in, and answers nothing itself."""

    @property
    def serving(self) -> Any:
        return None


class Transport(asyncio.Transport):
    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Client:
    """Asks once, and notes in which turn of the loop the answer ended."""

    def __init__(self) -> None:
        transport = Transport()
        self.wire = Wire(transport, FlowControl(transport), Outlet(transport))
        self.ended_in: int | None = None

    async def ask(self, engine: Engine, ask: Ask, turn: list[int]) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "headers": [(b"content-type", b"application/json")],
        }
        lend_wire(scope, self.wire)
        account.set(Account())

        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.ended_in = turn[0]

        await Answering(engine, ask)(scope, receive, send)


@asynccontextmanager
async def engine_and_turns() -> AsyncIterator[tuple[Engine, list[int]]]:
    turn = [0]

    async def count() -> None:
        while True:
            turn[0] += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    engine = Ready(StateMachine(lambda *_: None), EngineMetrics(), lambda: None)
    try:
        yield engine, turn
    finally:
        counting.cancel()
        engine._scratch.cleanup()  # `stop` would end the processes of other tests


async def nothing() -> None:
    pass


class Step:
    """What all answers wait for."""

    def __init__(self) -> None:
        self.waiting = 0
        self.end = asyncio.Event()

    async def wait(self, _: Any = None) -> None:
        self.waiting += 1
        await self.end.wait()

    def answer(self, *, streams: bool) -> Ask:
        async def ask(_: bytes) -> Answer:
            if streams:
                return Stream(self.wait, nothing)
            await self.wait()
            return Whole(b"{}")

        return ask


@asynccontextmanager
async def crowd(*, streams: bool) -> AsyncIterator[tuple[list[Client], Step]]:
    """Many who wait for the same step, and who are done at the end."""
    async with engine_and_turns() as (engine, turn), asyncio.timeout(20):
        step = Step()
        ask = step.answer(streams=streams)
        clients = [Client() for _ in range(MANY)]
        asking = [asyncio.ensure_future(client.ask(engine, ask, turn)) for client in clients]
        while step.waiting < MANY:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
        yield clients, step
        await asyncio.gather(*asking)


@pytest.mark.parametrize("streams", [True, False])
def test_few_end_in_one_turn(streams: bool) -> None:
    async def scene() -> list[int | None]:
        async with crowd(streams=streams) as (clients, step):
            step.end.set()
        return [client.ended_in for client in clients]

    ended = asyncio.run(scene())
    assert None not in ended
    assert max(Counter(ended).values()) <= MOST_IN_A_TURN


def test_who_leaves_when_all_is_written_has_the_answer() -> None:
    async def scene() -> list[int | None]:
        async with crowd(streams=True) as (clients, step):
            step.end.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for client in clients:
                client.wire.lose()
        return [client.ended_in for client in clients]

    assert None not in asyncio.run(scene())
