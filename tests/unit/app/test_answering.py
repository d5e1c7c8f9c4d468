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


def answer_at(moment: asyncio.Event, *, streams: bool) -> Ask:
    async def run(wire: Any) -> None:
        await moment.wait()

    async def ask(_: bytes) -> Answer:
        if streams:
            return Stream(run, nothing)
        await moment.wait()
        return Whole(b"{}")

    return ask


@pytest.mark.parametrize("streams", [True, False])
def test_few_end_in_one_turn(streams: bool) -> None:
    async def scene() -> Counter[int | None]:
        async with engine_and_turns() as (engine, turn):
            step = asyncio.Event()
            clients = [Client() for _ in range(MANY)]
            asking = [
                asyncio.ensure_future(client.ask(engine, answer_at(step, streams=streams), turn))
                for client in clients
            ]
            await asyncio.sleep(0.05)
            step.set()
            await asyncio.gather(*asking)
            return Counter(client.ended_in for client in clients)

    ended = asyncio.run(scene())
    assert None not in ended
    assert max(ended.values()) <= MANY // 5


def test_who_leaves_when_all_is_written_has_the_answer() -> None:
    async def scene() -> list[int | None]:
        async with engine_and_turns() as (engine, turn):
            step = asyncio.Event()
            clients = [Client() for _ in range(MANY)]
            asking = [
                asyncio.ensure_future(client.ask(engine, answer_at(step, streams=True), turn))
                for client in clients
            ]
            await asyncio.sleep(0.05)
            step.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for client in clients:
                client.wire.lose()
            await asyncio.gather(*asking)
            return [client.ended_in for client in clients]

    assert None not in asyncio.run(scene())
