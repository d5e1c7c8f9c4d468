"""A connection's transport for uvicorn, which writes the head of an answer and its body apart.

Each write is a system call and wakes the reader, who has nothing to read but a head the first time.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Outlet:
    """As the transport, but for writes that are to leave together."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """Let what is written in here leave at its end."""
        self._release()
        self._held = []
        try:
            yield
        finally:
            self._release()

    def write(self, data: bytes) -> None:
        """As the transport's."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """As the transport's: what was written before is sent."""
        self._release()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))
