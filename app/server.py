"""uvicorn, with its life in our hands: we bind the socket, and signals are not its business."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from app.connection import Connection, Idlers, Patience

if TYPE_CHECKING:
    from app.tls import Tls


_TICKS = 10


class PortUnusableError(Exception):
    """The address cannot be listened on."""


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; `setting` is the variable that the port is from.

    Raises:
        PortUnusableError: the port is taken or forbidden, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise PortUnusableError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            f"set {setting} to a free port, or end what uses this one",
        ) from None
    listener.setblocking(False)
    return listener


class Server(uvicorn.Server):
    """A uvicorn server that stops when `should_exit` is set, and never by a signal of its own."""

    def __init__(self, app: ASGIApp, patience: Patience, tls: "Tls | None" = None) -> None:
        self._patience = patience
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=Connection,
                timeout_keep_alive=patience.idle_s,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                ssl_context_factory=(lambda *_: tls.context) if tls else None,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, where uvicorn's own would not know our connections, nor limit the handshake."""
        make = partial(
            Connection,
            patience=self._patience,
            idlers=Idlers(),
            config=self.config,
            server_state=self.server_state,
            app_state={},
        )
        encryption = self.config.ssl
        self.servers = [
            await asyncio.get_running_loop().create_server(
                make,
                sock=door,
                ssl=encryption,
                ssl_handshake_timeout=self._patience.head_s if encryption else None,
                backlog=self.config.backlog,
            )
            for door in sockets or ()
        ]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's, which does this ten times a second."""
        if counter % _TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.look(now_s)  # type: ignore[union-attr]  # ours
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `app.lifecycle`, which drains before the listeners close."""
        yield
