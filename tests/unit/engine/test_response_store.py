"""What /v1/responses keeps: bounded, forgotten in time, and readable while it grows."""

import asyncio
import time

import pytest

from engine.errors import GenerationFailedError
from engine.vllm.response_store import BoundedStore, EventLog


def test_the_least_recently_used_goes_first() -> None:
    store = BoundedStore(largest_bytes=1000, longest_s=60)
    store["a"], store["b"] = "x" * 400, "x" * 400
    assert store["a"]
    store["c"] = "x" * 400
    assert set(store) == {"a", "c"}


def test_nothing_stays_longer_than_its_time() -> None:
    store = BoundedStore(largest_bytes=1000, longest_s=0.05)
    store["a"] = "x"
    assert "a" in store
    time.sleep(0.1)
    assert "a" not in store


def test_what_is_larger_than_the_store_is_not_kept_and_pushes_nothing_out() -> None:
    store = BoundedStore(largest_bytes=1000, longest_s=60)
    store["a"] = "x"
    store["b"] = [{"content": "x" * 900}, {"content": "x" * 900}]
    assert set(store) == {"a"}


def test_events_are_read_from_where_the_reader_left_while_they_come() -> None:
    async def scene() -> tuple[list[str], list[str]]:
        log = EventLog()

        async def write() -> None:
            for number in range(5):
                await log.append(str(number))
                await asyncio.sleep(0.001)
            await log.end()

        async def read(start: int) -> list[str]:
            return [event async for event in log.read(start)]

        first, second, _ = await asyncio.gather(read(0), read(3), write())
        assert await read(2) == ["2", "3", "4"]
        return first, second

    assert asyncio.run(scene()) == (["0", "1", "2", "3", "4"], ["3", "4"])


def test_a_failure_comes_behind_the_last_event() -> None:
    async def scene() -> list[str]:
        log = EventLog()
        await log.append("0")
        await log.end(GenerationFailedError("broken"))
        await log.end()
        reading = log.read(0)
        found = [await anext(reading)]
        with pytest.raises(GenerationFailedError):
            await anext(reading)
        return found

    assert asyncio.run(scene()) == ["0"]
