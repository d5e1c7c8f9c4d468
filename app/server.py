"""uvicorn, with its life in our hands: we bind the socket, and signals are not its business."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.wire import Wire, lend_wire

if TYPE_CHECKING:
    from app.tls import Tls


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


class _Protocol(HttpToolsProtocol):
    """uvicorn's, which lets the answering of a request have its connection."""

    _wire: Wire
    _client_name: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._wire = Wire(transport, self.flow)
        encryption = transport.get_extra_info("ssl_object")
        if encryption is not None:
            from app.tls import client_name  # noqa: PLC0415  # takes a while where nobody needs it

            self._client_name = client_name(encryption)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        lend_wire(self.scope, self._wire)
        if self._client_name is not None:
            # https://asgi.readthedocs.io/en/latest/specs/tls.html
            self.scope["extensions"]["tls"] = {"client_cert_name": self._client_name}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._wire.lose()


class Server(uvicorn.Server):
    """A uvicorn server that stops when `should_exit` is set, and never by a signal of its own."""

    def __init__(self, app: ASGIApp, tls: "Tls | None" = None) -> None:
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
                ssl_context_factory=(lambda *_: tls.context) if tls else None,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `app.lifecycle`, which drains before the listeners close."""
        yield
