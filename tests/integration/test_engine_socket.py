"""Messages to and from the engine core arrive whole and in their order, whoever is behind."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
import zmq
import zmq.asyncio

from engine.vllm.engine_socket import talk_directly

ENGINE = b"\x00\x00"
LARGE = 1 << 20


class Taker:
    """Takes messages until it is told not to."""

    def __init__(self) -> None:
        self.takes = False
        self.taken: list[list[bytes]] = []
        self.turns = 0
        self.takes_s = 0.0
        self.failure: Exception | None = None

    def take(self, message: Any) -> bool:
        if self.failure is not None:
            raise self.failure
        time.sleep(self.takes_s)
        if self.takes:
            self.taken.append([bytes(frame.buffer) for frame in message])
        return self.takes

    def end_turn(self) -> None:
        self.turns += 1


class Core:
    """As much of vLLM's client as sends, on a socket that holds so many messages."""

    def __init__(self, place: Path, room: int) -> None:
        self.input_socket: Any = zmq.asyncio.Context.instance().socket(zmq.ROUTER)
        self.input_socket.set(zmq.ROUTER_MANDATORY, 1)
        self.input_socket.set(zmq.SNDHWM, room)
        self.address = f"ipc://{place}"
        self.input_socket.bind(self.address)
        self.times_queued = 0
        self.is_alive = True
        self.taker = Taker()
        self.resources = SimpleNamespace()
        self.output_address = f"{self.address}-out"
        self.resources.output_socket = zmq.asyncio.Context.instance().socket(zmq.PULL)
        self.resources.output_socket.bind(self.output_address)

    def ensure_alive(self) -> None:
        if not self.is_alive:
            raise RuntimeError("dead")

    def _send_input_message(self, message: Any, engine: bytes) -> Any:
        self.times_queued += 1
        return self.input_socket.send_multipart((engine, *message), copy=False)


async def engine_of(core: Core) -> Any:
    """The engine's side, connected."""
    engine = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    engine.set(zmq.RCVHWM, 2)
    engine.identity = ENGINE
    engine.connect(core.address)
    await engine.send(b"ready")
    await core.input_socket.recv_multipart()
    return engine


def parts(number: int) -> tuple[Any, ...]:
    large = memoryview(bytearray(b"%d" % number * LARGE)) if number % 3 == 0 else b"small"
    return b"\x00", b"request %d" % number, large


def run(scenario: Any, place: Path, room: int = 2) -> None:
    async def with_core() -> None:
        core = Core(place, room)
        engine = await engine_of(core)
        talk_directly(core, core.taker)  # type: ignore[arg-type]  # stands in for vLLM's
        try:
            await asyncio.wait_for(scenario(core, engine), 20)
        finally:
            engine.close(0)
            core.input_socket.close(0)
            core.resources.output_socket.close(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(with_core())


def test_they_arrive_in_their_order_though_the_engine_is_behind(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        sending = [
            asyncio.ensure_future(core._send_input_message(parts(number), ENGINE))
            for number in range(40)
        ]
        await asyncio.sleep(0.1)
        assert core.times_queued  # it was full
        for number in range(40):
            assert await engine.recv_multipart() == [bytes(part) for part in parts(number)]
        await asyncio.gather(*sending)

    run(scenario, tmp_path / "socket")


def test_one_that_is_taken_at_once_needs_no_future(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        for number in range(5):
            await core._send_input_message(parts(number), ENGINE)
            assert await engine.recv_multipart() == [bytes(part) for part in parts(number)]
        assert core.times_queued == 0

    run(scenario, tmp_path / "socket", room=0)


def test_nothing_is_sent_to_an_engine_that_is_dead(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        core.is_alive = False
        try:
            await core._send_input_message(parts(1), ENGINE)
        except RuntimeError as error:
            assert str(error) == "dead"  # noqa: PT017  # the scenario goes on
        assert await engine.poll(100) == 0

    run(scenario, tmp_path / "socket")


async def outputs_of(core: Core) -> Any:
    """Where the engine puts its outputs."""
    engine = zmq.asyncio.Context.instance().socket(zmq.PUSH)
    engine.connect(core.output_address)
    return engine


async def received(core: Core) -> list[bytes]:
    frames = await core.resources.output_socket.recv_multipart(copy=False)
    return [bytes(frame.buffer) for frame in frames]


def test_outputs_are_received_whole_and_in_order(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        for number in range(3):  # one by one
            receiving = asyncio.ensure_future(received(core))
            await asyncio.sleep(0.02)
            assert not receiving.done()
            await outputs.send_multipart(parts(number))
            assert await receiving == [bytes(part) for part in parts(number)]
        for number in range(200):  # many at once
            await outputs.send_multipart(parts(number % 9))
        for number in range(200):
            assert await received(core) == [bytes(part) for part in parts(number % 9)]
        outputs.close(0)

    run(scenario, tmp_path / "socket", room=0)


def test_what_is_taken_at_once_reaches_nobody_else_and_what_is_not_keeps_its_place(
    tmp_path: Path,
) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        core.taker.takes = True
        receiving = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.02)
        for number in range(50):
            await outputs.send_multipart(parts(number))
        while len(core.taker.taken) < 50:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
        assert core.taker.taken == [[bytes(part) for part in parts(it)] for it in range(50)]
        assert 50 / 4 <= core.taker.turns <= 51  # several of them in one, but others get theirs
        assert not receiving.done()
        core.taker.takes = False
        for number in range(50, 60):
            await outputs.send_multipart(parts(number))
        assert await receiving == [bytes(part) for part in parts(50)]
        for number in range(51, 60):
            assert await received(core) == [bytes(part) for part in parts(number)]
        assert len(core.taker.taken) == 50
        outputs.close(0)

    run(scenario, tmp_path / "socket", room=0)


def test_others_get_their_turn_after_each_message_that_takes_long(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        core.taker.takes = True
        core.taker.takes_s = 0.003
        receiving = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.02)
        for number in range(20):
            await outputs.send_multipart(parts(number))
        while len(core.taker.taken) < 20:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert core.taker.turns >= 20
        receiving.cancel()
        outputs.close(0)

    run(scenario, tmp_path / "socket", room=0)


def test_whoever_waits_is_told_what_goes_wrong(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        core.taker.failure = ValueError("no such message")
        receiving = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.02)
        await outputs.send_multipart(parts(1))
        with pytest.raises(ValueError, match="no such message"):
            await receiving
        outputs.close(0)

    run(scenario, tmp_path / "socket", room=0)


def test_a_loop_that_waits_for_outputs_is_idle(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        await outputs.send_multipart(parts(1))
        await received(core)
        receiving = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.1)
        before_s = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before_s < 0.1
        receiving.cancel()
        outputs.close(0)

    run(scenario, tmp_path / "socket", room=0)


def test_a_loop_in_which_nobody_waits_any_more_is_idle(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        outputs = await outputs_of(core)
        receiving = asyncio.ensure_future(received(core))
        await outputs.send_multipart(parts(1))
        await receiving
        waiting = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait({waiting})
        await outputs.send_multipart(parts(2))
        outputs.close()
        await asyncio.sleep(0.1)
        before_s = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before_s < 0.1
        assert await received(core) == [bytes(part) for part in parts(2)]  # it was not lost

    run(scenario, tmp_path / "socket", room=0)


def test_a_socket_that_is_closed_while_it_is_waited_for_leaves_no_reader(tmp_path: Path) -> None:
    async def scenario(core: Core, engine: Any) -> None:
        fd = core.resources.output_socket.getsockopt(zmq.FD)
        receiving = asyncio.ensure_future(received(core))
        await asyncio.sleep(0.02)
        core.resources.output_socket.close(0)
        receiving.cancel()
        await asyncio.wait({receiving})
        assert receiving.cancelled()
        assert not asyncio.get_running_loop().remove_reader(fd)

    run(scenario, tmp_path / "socket", room=0)
