"""However many come at once, the loop gets to other things in between."""

import asyncio
import time

from engine.turnstile import Turnstile


async def crowd(turnstile: Turnstile, count: int, entered: list[int]) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        await turnstile.enter()
        entered.append(number)

    return [asyncio.ensure_future(one(number)) for number in range(count)]


def test_so_many_get_in_per_turn_in_the_order_they_came() -> None:
    async def scene() -> None:
        entered: list[int] = []
        tasks = await crowd(Turnstile(3), 20, entered)
        before = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            assert len(entered) - before <= 3
            before = len(entered)
        assert entered == list(range(20))

    asyncio.run(scene())


def test_those_who_take_long_get_in_one_at_a_time() -> None:
    async def scene() -> None:
        turnstile, entered = Turnstile(3), list[int]()

        async def one(number: int) -> None:
            await turnstile.enter()
            entered.append(number)
            time.sleep(0.01 if number < 6 else 0.0)  # noqa: ASYNC251  # which is what it is about

        tasks = [asyncio.ensure_future(one(number)) for number in range(30)]
        per_turn = []
        while not all(task.done() for task in tasks):
            before = len(entered)
            await asyncio.sleep(0)
            per_turn.append(len(entered) - before)
        assert entered == list(range(30))
        worked = [count for count in per_turn if count]
        # Nobody knows of the first three that they take long; the last of the others are quick.
        assert worked[:4] == [3, 1, 1, 1]
        assert 3 in worked[4:]

    asyncio.run(scene())


def test_nobody_waits_where_there_is_room() -> None:
    async def scene() -> None:
        turnstile = Turnstile(3)
        for _ in range(5):
            for _ in range(3):
                coroutine = turnstile.enter()
                try:
                    coroutine.send(None)
                except StopIteration:
                    continue
                raise AssertionError("it waits")
            await asyncio.sleep(0)

    asyncio.run(scene())


def test_who_is_in_need_not_wait_again_in_the_same_turn() -> None:
    async def scene() -> None:
        turnstile = Turnstile(1)
        turn = await turnstile.enter()
        queue = asyncio.ensure_future(turnstile.enter())
        for _ in range(3):
            assert await turnstile.enter(turn) == turn
        assert not queue.done()
        later = asyncio.ensure_future(turnstile.enter(turn))
        assert await queue > turn
        assert await later > queue.result()

    asyncio.run(scene())


def test_who_leaves_the_queue_takes_nobodys_place() -> None:
    async def scene() -> None:
        entered: list[int] = []
        tasks = await crowd(Turnstile(2), 12, entered)
        await asyncio.sleep(0)
        for number in (2, 3, 5, 11):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert entered == [0, 1, 4, 6, 7, 8, 9, 10]

    asyncio.run(scene())


def test_it_rests_when_nobody_comes() -> None:
    async def scene() -> None:
        turnstile = Turnstile(2)
        await turnstile.enter()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # nothing is due

    asyncio.run(scene())
