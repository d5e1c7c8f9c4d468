"""A forward proxy that knows where names lead which nobody else can resolve."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy(ThreadingHTTPServer):
    """Tunnels: `CONNECT name:port` leads to a port of this machine."""

    daemon_threads = True

    def __init__(self, leads_to: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.leads_to = leads_to
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:  # the name http.server calls
        self.server.asked.append(self.path)
        port = self.server.leads_to.get(self.path)
        if port is None:
            self.send_error(502)
            return
        with socket.create_connection(("127.0.0.1", port)) as far:
            self.send_response(200)
            self.end_headers()
            _splice(self.connection, far)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _splice(near: socket.socket, far: socket.socket) -> None:
    other = {near: far, far: near}
    while True:
        readable, _, _ = select.select([near, far], [], [], 20)
        if not readable:
            return
        for ready in readable:
            data = ready.recv(65536)
            if not data:
                return
            other[ready].sendall(data)


@contextmanager
def proxy(leads_to: dict[str, int]) -> Iterator[Proxy]:
    """A proxy that runs while the block does."""
    with Proxy(leads_to) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def encrypt(server: ThreadingHTTPServer, context: ssl.SSLContext) -> None:
    """Let a server that listens already speak TLS."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    server.socket = context.wrap_socket(server.socket, server_side=True)
