"""Counting requests."""

import asyncio

import pytest

from engine.inflight import Inflight


def test_a_request_counts_while_it_is_tracked_even_when_it_fails() -> None:
    inflight = Inflight()

    def fail() -> None:
        with inflight.track(), inflight.track():
            assert inflight.count == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert inflight.count == 0


def test_whoever_wants_to_know_is_told_of_each_number() -> None:
    told: list[int] = []
    inflight = Inflight(told.append)
    with inflight.track(), inflight.track():
        pass
    assert told == [1, 2, 1, 0]


def test_waiting_ends_with_the_last_request() -> None:
    async def scenario() -> tuple[bool, bool, bool]:
        inflight = Inflight()
        at_once = await inflight.wait_until_empty(0.01)
        with inflight.track():
            too_long = await inflight.wait_until_empty(0.01)
            waiter = asyncio.ensure_future(inflight.wait_until_empty(5))
            await asyncio.sleep(0)
        return at_once, too_long, await waiter

    assert asyncio.run(scenario()) == (True, False, True)
