"""Everything that clients do, again and again: nothing grows."""

import asyncio
import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.endurance.holdings import Holdings
from tests.support.load import is_idle
from tests.support.server import Server
from tests.support.wait import wait_until

AT_ONCE = 12
_SAY = [{"role": "user", "content": "Say something."}]
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
# Route, body, statuses it may have.
WORK: list[tuple[str, Any, set[int]]] = [
    ("chat/completions", {"messages": _SAY, "max_tokens": 16}, {200}),
    ("chat/completions", {"messages": _SAY, "max_tokens": 16, "n": 3, "logprobs": True}, {200}),
    ("chat/completions", {"messages": _SAY, "max_tokens": 32, "stream": True}, {200}),
    ("chat/completions", {"messages": _SAY, "max_tokens": 8, "tools": [_TOOL]}, {200}),
    (
        "chat/completions",
        {
            "messages": _SAY,
            "max_tokens": 16,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object"}},
            },
        },
        {200},
    ),
    ("completions", {"prompt": ["a", "b"], "max_tokens": 16, "stream": True}, {200}),
    ("messages", {"model": "unigate-demo", "messages": _SAY, "max_tokens": 16}, {200}),
    ("responses", {"input": "Say something.", "max_output_tokens": 16}, {200}),
    ("responses", {"input": "Say something.", "max_output_tokens": 16, "stream": True}, {200}),
    ("chat/completions", {"messages": "none"}, {400}),
    ("chat/completions", {"messages": _SAY, "model": "no-such-model"}, {404}),
    ("embeddings", {"input": "x"}, {404}),
    ("nothing", {}, {404}),
]
# A client leaves in the middle of one of these.
ENDLESS = {"messages": _SAY, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module")
def server(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("soaked") / "log"
    environment = {"UNIGATE_RESPONSES_MIB": "1"}
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


async def work(url: str, seconds: float) -> Counter[str]:
    """What happened, by route and status."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + seconds
    happened: Counter[str] = Counter()
    numbers = itertools.count()

    async def use(client: httpx.AsyncClient) -> None:
        while loop.time() < until_s:
            number = next(numbers)
            if number % 8 == 0:
                await leave(client)
                continue
            route, body, statuses = random.choice(WORK)  # noqa: S311  # no secret
            answer = await client.post(f"/v1/{route}", json=body | {"user": str(number)})
            assert answer.status_code in statuses, answer.text
            happened[f"{route} {answer.status_code}"] += 1

    async def leave(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", "/v1/chat/completions", json=ENDLESS) as stream:
            async for _ in stream.aiter_bytes():
                happened["left"] += 1
                return

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(use(client) for _ in range(AT_ONCE)))
    return happened


def test_nothing_grows(server: Server, seconds: float) -> None:
    held: list[Holdings] = []
    for _ in range(3):
        happened = asyncio.run(work(server.url, seconds / 2))
        wait_until(lambda: is_idle(server), within_s=10, what="all are gone")
        held.append(Holdings.of(server))
        sys.stderr.write(f"{sum(happened.values())} requests; {held[-1]}\n")
        assert len(happened) >= len(WORK) - 4  # each kind was there
    # The first time caches fill.
    held[2].assert_no_more_than(held[1], more_mib=8 + 0.1 * seconds)
    assert "Traceback" not in server.log
