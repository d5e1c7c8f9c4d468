"""What need not wait is done at once; what does goes on as a task would."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from app.at_once import run_at_once

NAME: ContextVar[str] = ContextVar("name", default="")


def in_loop(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 10))


def start(coroutine: Coroutine[Any, Any, None]) -> None:
    run_at_once(asyncio.get_running_loop(), coroutine)


def test_what_need_not_wait_is_done_at_once() -> None:
    async def scene() -> None:
        done = []

        async def quick() -> None:
            done.append(NAME.get())
            NAME.set("quick")

        NAME.set("scene")
        start(quick())
        assert done == ["scene"]
        assert NAME.get() == "scene"  # what it sets is its own
        assert len(asyncio.all_tasks()) == 2  # this one, and who waits for it

    in_loop(scene())


def test_what_waits_goes_on_as_a_task_in_its_own_context() -> None:
    async def scene() -> None:
        seen: list[Any] = []
        door: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def slow() -> None:
            NAME.set("slow")
            seen.append("begun")
            seen.append(await door)
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await asyncio.sleep(0.001)
            seen.append(NAME.get())
            over.set()

        start(slow())
        assert seen == ["begun"]
        await asyncio.sleep(0)
        door.set_result("opened")
        await over.wait()
        assert seen == ["begun", "opened", "slow"]
        assert NAME.get() == ""

    in_loop(scene())


def test_it_gets_the_error_of_what_it_waits_for_and_may_go_on() -> None:
    async def scene() -> None:
        door: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def careful() -> None:
            try:
                await door
            except LookupError:
                await asyncio.sleep(0)
                over.set()

        start(careful())
        door.set_exception(LookupError())
        await over.wait()

    in_loop(scene())


def test_what_it_raises_at_once_is_raised_and_later_is_the_tasks() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Any] = loop.create_future()
        loop.set_exception_handler(lambda _, it: told.set_result(it["exception"]))

        async def failing(*, waits: bool) -> None:
            if waits:
                await asyncio.sleep(0)
            raise LookupError

        with pytest.raises(LookupError):
            start(failing(waits=False))
        assert not told.done()
        start(failing(waits=True))
        assert isinstance(await told, LookupError)

    in_loop(scene())


def test_it_can_be_cancelled_while_it_waits() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def endless() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        start(endless())
        (task,) = [it for it in asyncio.all_tasks() if "_rest_of" in repr(it)]
        await asyncio.sleep(0)
        task.cancel()
        await ended.wait()

    in_loop(scene())
