"""uvicorn, with its life in our hands: we bind the socket, and signals are not its business."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.wire import Wire, lend_wire


class PortUnusableError(Exception):
    """The address cannot be listened on."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

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
            "set NIM_SERVER_PORT to a free port, or end what uses this one",
        ) from None
    listener.setblocking(False)
    return listener


class _Protocol(HttpToolsProtocol):
    """uvicorn's, which lets the answering of a request have its connection."""

    _wire: Wire

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._wire = Wire(transport, self.flow)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        lend_wire(self.scope, self._wire)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wire.lose()


class Server(uvicorn.Server):
    """A uvicorn server that stops when `should_exit` is set, and never by a signal of its own."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `app.lifecycle`, which drains before the listeners close."""
        yield
