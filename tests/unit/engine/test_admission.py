"""Who gets in, who waits and who is refused when there is only so much room."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from engine.admission import Admission, Room, Ticket
from engine.errors import EngineDrainingError, OverloadedError, ShareUsedError


class Entrance:
    """An admission, with the tickets of those who are inside."""

    def __init__(self, room: Room) -> None:
        self.admission = Admission()
        self.admission.open(room)
        self._tickets: dict[str, list[Ticket]] = defaultdict(list)

    def enter(self, holder: str) -> bool:
        ticket = self.admission.enter(holder)
        if ticket is not None:
            self._tickets[holder].append(ticket)
        return ticket is not None

    async def wait(self, holder: str, priority: int = 0) -> None:
        self._tickets[holder].append(await self.admission.wait(holder, priority))

    def leave(self, holder: str) -> None:
        self._tickets[holder].pop().leave()

    @property
    def waiting(self) -> int:
        return self.admission.waiting

    @property
    def inside(self) -> int:
        return self.admission.inside


Scene = Callable[[Entrance], Awaitable[None]]


def play(scene: Scene, *, requests: int = 1, waiting: int = 4, wait_s: float = 5.0) -> None:
    async def played() -> None:
        room = Room(
            waiting=waiting,
            wait_s=wait_s,
            honours_priority=True,
            has_room_for=lambda more: more < requests,
        )
        await scene(Entrance(room))

    asyncio.run(played())


async def start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


class Order:
    """Requests that wait, and the order in which they get in."""

    def __init__(self, admission: Entrance) -> None:
        self._admission = admission
        self.names: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str, holder: str = "", priority: int = 0) -> asyncio.Task[None]:
        async def wait() -> None:
            await self._admission.wait(holder, priority)
            self.names.append(name)

        self.tasks[name] = await start(wait())
        return self.tasks[name]

    async def let_in(self, *leaving: str) -> None:
        for holder in leaving:
            self._admission.leave(holder)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


def test_before_it_is_open_everybody_gets_in() -> None:
    admission = Admission()
    assert all(admission.enter("") for _ in range(1000))


def test_there_is_only_so_much_room_and_it_is_given_back() -> None:
    async def scene(admission: Entrance) -> None:
        assert [admission.enter("") for _ in range(3)] == [True, True, False]
        admission.leave("")
        assert admission.inside == 1
        assert admission.enter("")

    play(scene, requests=2)


def test_the_oldest_is_next_and_nobody_overtakes_it() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        order = Order(admission)
        for name in ("first", "second"):
            await order.add(name)
        admission.leave("")
        assert not admission.enter("")  # it has been given to the first
        await asyncio.sleep(0)
        await order.let_in("")
        assert order.names == ["first", "second"]
        assert admission.waiting == 0

    play(scene)


def test_priority_goes_before_age() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        order = Order(admission)
        for name, priority in (("late", 5), ("old", 0), ("urgent", -1), ("new", 0)):
            await order.add(name, priority=priority)
        await order.let_in("", "", "", "")
        assert order.names == ["urgent", "old", "new", "late"]

    play(scene)


def test_holders_take_turns_however_many_one_of_them_sends() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("many")
        assert admission.enter("many")
        order = Order(admission)
        for name in ("m1", "m2", "m3"):
            await order.add(name, "many")
        await order.add("f1", "few")
        await order.let_in("many")  # one of `many` is inside, none of `few`
        assert order.names == ["f1"]
        await order.let_in("many", "many", "few")
        assert order.names == ["f1", "m1", "m2", "m3"]

    play(scene, requests=2)


def test_a_holder_with_fewer_in_line_pushes_out_the_last_of_the_one_with_most() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("many")
        order = Order(admission)
        for name in ("m1", "m2", "m3", "m4"):
            await order.add(name, "many")
        await order.add("f1", "few")
        with pytest.raises(ShareUsedError):
            await order.tasks["m4"]
        await order.add("f2", "few")
        with pytest.raises(ShareUsedError):
            await order.tasks["m3"]
        for holder in ("few", "many"):  # two each: that is their share
            with pytest.raises(ShareUsedError):
                await admission.wait(holder)
        await order.let_in("many", "few", "many", "few")
        assert order.names == ["f1", "m1", "f2", "m2"]

    play(scene)


def test_who_is_alone_is_told_that_the_server_is_full() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("only")
        order = Order(admission)
        for name in ("1", "2", "3", "4"):
            await order.add(name, "only")
        with pytest.raises(OverloadedError, match="4 requests wait already"):
            await admission.wait("only")

    play(scene)


def test_in_a_full_line_what_is_more_urgent_pushes_out_what_is_least() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        order = Order(admission)
        for name, priority in (("1", 0), ("2", 7), ("3", 0), ("4", 7)):
            await order.add(name, priority=priority)
        await order.add("urgent", priority=1)
        with pytest.raises(OverloadedError):
            await order.tasks["4"]
        with pytest.raises(OverloadedError):
            await admission.wait("", 7)

    play(scene)


def test_where_nobody_may_wait_nobody_does() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        with pytest.raises(OverloadedError):
            await admission.wait("", -1)
        assert admission.waiting == 0

    play(scene, waiting=0)


def test_a_line_that_does_not_move_is_left_with_an_error() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        with pytest.raises(OverloadedError, match=r"nothing was free within 0\.01 s") as refused:
            await admission.wait("")
        assert refused.value.retry_after_s == 1
        assert admission.waiting == 0
        admission.leave("")
        assert admission.enter("")

    play(scene, wait_s=0.01)


@pytest.mark.parametrize("also_admitted", [False, True])
def test_whoever_leaves_the_line_takes_no_room(also_admitted: bool) -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        waiting = await start(admission.wait(""))
        if also_admitted:
            admission.leave("")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not also_admitted:
            admission.leave("")
        assert admission.waiting == admission.inside == 0

    play(scene)


def test_a_client_that_leaves_as_it_is_called_is_passed_over() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        order = Order(admission)
        for name in ("gone", "there"):
            await order.add(name)
        order.tasks["gone"].cancel()
        await order.let_in("")
        assert order.names == ["there"]
        assert admission.inside == 1

    play(scene)


def test_all_that_wait_are_refused_at_once() -> None:
    async def scene(admission: Entrance) -> None:
        assert admission.enter("")
        waiting = [await start(admission.wait(name)) for name in ("a", "a", "b")]
        admission.admission.refuse_all(EngineDrainingError("The end."))
        for task in waiting:
            with pytest.raises(EngineDrainingError):
                await task
        assert admission.waiting == 0

    play(scene)


def test_what_the_engine_has_no_room_for_waits_until_it_has() -> None:
    async def scene() -> None:
        has_room = False
        room = Room(waiting=9, wait_s=5, honours_priority=False, has_room_for=lambda _: has_room)
        entrance = Entrance(room)
        assert not entrance.enter("")
        waiting = await start(entrance.wait(""))
        has_room = True
        entrance.admission.look()
        await waiting

    asyncio.run(scene())


def test_what_the_engine_has_is_counted_by_the_engine_alone() -> None:
    in_engine = 0
    room = Room(
        waiting=0, wait_s=5, honours_priority=False, has_room_for=lambda n: n + in_engine < 1
    )
    admission = Admission()
    admission.open(room)
    ticket = admission.enter("")
    assert ticket is not None
    assert admission.enter("") is None
    in_engine = 1
    ticket.hand_over()
    assert admission.enter("") is None
    in_engine = 0  # it has generated all, and the client has not read it yet
    other = admission.enter("")
    assert other is not None
    assert admission.inside == 2


def test_who_is_refused_is_told_when_the_line_will_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(admission: Entrance) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()

        def pass_time(seconds: float) -> None:
            nonlocal now_s
            now_s += seconds
            monkeypatch.setattr(loop, "time", lambda: now_s)

        assert admission.enter("")
        admission.leave("")
        pass_time(3600)  # that nobody came says nothing of the pace
        assert admission.enter("")
        tasks = [await start(admission.wait("")) for _ in range(4)]
        for _ in range(2):
            pass_time(10)
            admission.leave("")
            await asyncio.sleep(0)
            tasks.append(await start(admission.wait("")))
        with pytest.raises(OverloadedError) as refused:
            await admission.wait("")
        assert refused.value.retry_after_s == 40
        for task in tasks:
            task.cancel()

    play(scene, wait_s=7200)
