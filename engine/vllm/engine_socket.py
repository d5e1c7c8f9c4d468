"""Hands requests to the engine core's socket without a future for each.

A message is taken at once, as long as no other waits; pyzmq makes a future of it all the same, adds
up flags that are enumerations, and looks at each part three times. What is not taken at once goes
its way.
"""

from collections.abc import Awaitable, Generator, Sequence
from typing import Any

import zmq
from vllm.v1.engine.core_client import AsyncMPClient
from zmq.backend import Socket as BackendSocket

_LAST = int(zmq.DONTWAIT)
_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
# As pyzmq's `copy_threshold`: what is larger is not copied.
_LARGE_BYTES = 64 << 10


class _Sent:
    """What is awaited of a message that is on its way."""

    def __await__(self) -> Generator[None]:
        yield from ()


_SENT = _Sent()


def send_at_once(core: AsyncMPClient) -> None:
    """From now on, messages to the engine core are sent so."""
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

    core._send_input_message = send  # type: ignore[method-assign]  # vLLM calls it so
