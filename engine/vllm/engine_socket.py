"""Talks to the engine core through vLLM's sockets without what pyzmq does for each message.

A message is taken, or is there, at once more often than not. pyzmq makes a future of it all the
same, adds up flags that are enumerations, and looks at each part three times: a third of all calls
for a token of a single stream. What is not taken at once goes pyzmq's way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import Any, Protocol

import zmq
from vllm.v1.engine.core_client import AsyncMPClient
from zmq.backend import Socket as BackendSocket

_EVENTS = int(zmq.EVENTS)
_READABLE = int(zmq.POLLIN)
_LAST = int(zmq.DONTWAIT)
_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
# As pyzmq's `copy_threshold`: what is larger is not copied.
_LARGE_BYTES = 64 << 10
# Messages in a turn of the event loop. When it is behind there are several, whose texts leave
# together; others want a turn, too.
_MOST_AT_ONCE = 4
LONGEST_TURN_S = 0.002
"""How long outputs are processed before probes, and whoever else has to be heard, get a turn."""


class Taker(Protocol):
    """Who is offered each message before the task that waits for it."""

    def take(self, message: Sequence[zmq.Frame]) -> bool:
        """Whether that was all there was to do with it."""

    def end_turn(self) -> None:
        """No more messages are there for now."""


def talk_directly(core: AsyncMPClient, taker: Taker) -> None:
    """From now on, that client's messages go and come so. Not while one is waited for."""
    core._send_input_message = _sending(core)  # type: ignore[method-assign]  # vLLM calls it so
    socket: Any = core.resources.output_socket
    receiver = _Receiver(socket, taker)
    # Not by setting an attribute, which would be taken for an option of the socket.
    vars(socket).update(recv_multipart=receiver.receive, close=receiver.close)


class _Sent:
    """What is awaited of a message that is on its way."""

    def __await__(self) -> Generator[None]:
        yield from ()


_SENT = _Sent()


def _sending(core: AsyncMPClient) -> Any:
    socket: Any = core.input_socket
    queue: Any = core._send_input_message

    def send(message: Sequence[Any], engine: bytes) -> Awaitable[Any]:
        # Whoever waits comes first; and a receiver would have to be woken.
        if socket._send_futures or socket._recv_futures:
            return queue(message, engine)  # type: ignore[no-any-return]  # an awaitable
        core.ensure_alive()  # type: ignore[no-untyped-call]  # vLLM's, untyped
        shadow, last = socket._shadow_sock, len(message) - 1
        try:
            BackendSocket.send(shadow, engine, _MORE)
        except zmq.Again:
            return queue(message, engine)  # type: ignore[no-any-return]  # as above
        for place, part in enumerate(message):
            is_small = len(part) < _LARGE_BYTES
            BackendSocket.send(shadow, part, _MORE if place < last else _LAST, is_small)
        return _SENT

    return send


class _Receiver:
    """Receives for one task, what nobody has taken before."""

    def __init__(self, socket: Any, taker: Taker) -> None:
        self._socket = socket
        self._shadow = socket._shadow_sock
        self._events: Callable[[], Any] = partial(BackendSocket.get, self._shadow, _EVENTS)
        self._taker = taker
        self._close = socket.close
        self._fd: int = socket.getsockopt(zmq.FD)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came: asyncio.Future[list[zmq.Frame]] | None = None

    async def receive(self, *, copy: bool) -> list[zmq.Frame]:
        """The parts of the next message, as vLLM asks for them."""
        assert not copy
        if (message := self._take()) is not None:
            return message
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._fd, self._on_news)
        self._came = self._loop.create_future()
        return await self._came

    def close(self, linger: int | None = None) -> None:
        """As pyzmq's."""
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
        self._close(linger)

    def _on_news(self) -> None:
        if self._socket.closed:
            return
        if self._came is None or self._came.done():
            # Nobody waits, perhaps for ever; asking for it ends that the descriptor is readable.
            # A message stays, for `_take`.
            self._events()
            return
        until_s = time.monotonic() + LONGEST_TURN_S
        try:
            for _ in range(_MOST_AT_ONCE):
                message = self._take()
                if message is None:
                    return
                if not self._taker.take(message):
                    self._came.set_result(message)
                    return  # whoever waits asks for those behind it
                if time.monotonic() > until_s:
                    break
        except Exception as error:  # noqa: BLE001  # of the socket, which whoever waits has to know
            self._came.set_exception(error)
            return
        finally:
            self._taker.end_turn()
        # The descriptor tells of a message once.
        asyncio.get_running_loop().call_soon(self._on_news)

    def _take(self) -> list[zmq.Frame] | None:
        # Of two looks one finds nothing, and to be told so by an exception costs three times this.
        if not self._events() & _READABLE:
            return None
        frame = BackendSocket.recv(self._shadow, _LAST, False)
        frames = [frame]
        while frame.more:
            frame = BackendSocket.recv(self._shadow, _LAST, False)
            frames.append(frame)
        return frames
