"""Who asks for work comes in so many at a time; all others at once."""

import asyncio
from types import SimpleNamespace
from typing import Any

from app.middleware.access_log import AccessLog
from app.middleware.in_turn import InTurn
from app.middleware.request_id import RequestId
from engine.account import account
from engine.turnstile import Turnstile


def test_so_many_come_in_per_turn_and_who_only_looks_does_not_wait() -> None:
    came: list[str] = []
    turns: list[int | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        came.append(scope["path"])
        mine = account.get(None)
        turns.append(None if mine is None else mine.turn)

    async def scene() -> None:
        engine: Any = SimpleNamespace(turnstile=Turnstile(2))
        server = RequestId(AccessLog(InTurn(app, engine)))

        async def ask(method: str, path: str) -> None:
            scope = {"type": "http", "method": method, "path": path, "headers": []}
            await server(scope, nothing, nothing)

        asked = [ask("POST", f"/{number}") for number in range(6)]
        asked += [ask("GET", "/v1/models"), ask("POST", "/v1/health/live")]
        tasks = [asyncio.ensure_future(it) for it in asked]
        await asyncio.sleep(0)
        assert came == ["/0", "/1", "/v1/models", "/v1/health/live"]
        await asyncio.gather(*tasks)

    asyncio.run(scene())
    assert came[4:] == ["/2", "/3", "/4", "/5"]
    assert turns == [0, 0, None, None, 1, 1, 2, 2]


async def nothing(*_: Any) -> Any:
    raise AssertionError
