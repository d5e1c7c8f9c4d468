"""Where requests come in: the server's port, encrypted or not, and perhaps one for probes alone."""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from app.connection import Patience
from app.followed_files import FilesUnusableError
from app.listener_settings import ListenerSettings
from app.server import PortUnusableError, Server, bind

if TYPE_CHECKING:
    from app.tls import Tls

log = logging.getLogger(__name__)


class DoorUnusableError(Exception):
    """The server could not be reached as it should be; the message says what is wrong."""


class Doors:
    """They are open from the beginning; who serves behind them comes later."""

    def __init__(self, host: str, port: int, settings: ListenerSettings) -> None:
        """Bind the ports and read the certificates; raises `DoorUnusableError`."""
        self._tls = _tls(settings)
        self._patience = Patience(
            head_s=settings.header_timeout_s,
            body_s=settings.body_timeout_s,
            read_s=settings.send_timeout_s,
            idle_s=settings.keep_alive_s,
            comment_s=settings.stream_comment_s,
            connections=settings.max_connections,
        )
        own = settings.health_port
        if own == port and port != 0:
            own = None  # the same port is no second one
        self._servers: list[Server] = []
        with contextlib.ExitStack() as bound:
            try:
                self._listener = bound.enter_context(bind(host, port, "NIM_SERVER_PORT"))
                self._probes = own if own is None else bind(host, own, "NIM_HEALTH_PORT")
            except PortUnusableError as error:
                raise DoorUnusableError(str(error)) from None
            bound.pop_all()

    @property
    def ports(self) -> tuple[int, int | None]:
        """The server's, and that for probes."""
        port: int = self._listener.getsockname()[1]
        return port, None if self._probes is None else self._probes.getsockname()[1]

    def tell(self) -> None:
        """Say where they are."""
        host, (port, for_probes) = self._listener.getsockname()[0], self.ports
        scheme = "https" if self._tls else "http"
        log.info("http.listening", extra={"host": host, "port": port, "scheme": scheme})
        if for_probes is not None:
            log.info("http.listening_for_probes", extra={"host": host, "port": for_probes})

    async def serve(self, app: ASGIApp, probes: ASGIApp) -> None:
        """Serve until `close`; `probes` is for the port of their own."""
        serving = [(Server(app, self._patience, self._tls), self._listener)]
        if self._probes is not None:
            serving.append((Server(probes, self._patience), self._probes))
        self._servers = [server for server, _ in serving]
        await asyncio.gather(*(server.serve(sockets=[door]) for server, door in serving))

    async def follow(self) -> None:
        """Follow the certificates, if there are any."""
        if self._tls is not None:
            await self._tls.follow()

    def close(self) -> None:
        """Let nobody in any more."""
        for server in self._servers:
            server.should_exit = True  # closes its door
        if not self._servers:
            self._listener.close()
            if self._probes is not None:
                self._probes.close()


def _tls(settings: ListenerSettings) -> "Tls | None":
    if settings.ssl_mode == "DISABLED":
        return None
    # Takes 60 ms to import, which the first health answer need not wait for elsewhere.
    from app.tls import Tls, TlsFiles  # noqa: PLC0415

    key, chain = settings.ssl_key_path, settings.ssl_certs_path
    assert key is not None  # settings hold that
    assert chain is not None
    authorities = settings.ssl_ca_certs_path if settings.ssl_mode == "MTLS" else None
    try:
        return Tls(TlsFiles(key, chain, authorities))
    except FilesUnusableError as error:
        raise DoorUnusableError(f"NIM_SSL_MODE {settings.ssl_mode}: {error}") from None
