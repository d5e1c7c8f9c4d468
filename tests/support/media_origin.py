"""A host of images that behaves as its paths say: well, or in one of the ways to attack."""

import contextlib
import gzip
import io
import os
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import trustme
from PIL import Image

from tests.support.proxy import encrypt

MIB = 1 << 20
NAME = "images.example"
SECRET = b"the secret of an internal service"


def picture(color: tuple[int, int, int], side_pixels: int = 64, form: str = "PNG") -> bytes:
    """An image of two colors."""
    image = Image.new("RGB", (side_pixels, side_pixels), color)
    image.paste((255 - color[0], 255, 0), (0, 0, side_pixels // 2, side_pixels // 2))
    written = io.BytesIO()
    image.save(written, form)
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG whose header announces many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", body),
            chunk(b"IEND", b""),
        ]
    )


RED, BLUE = picture((255, 0, 0)), picture((0, 0, 255))


class MediaOrigin(ThreadingHTTPServer):
    """Notes what it is asked for, and with which headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.over = threading.Event()
        self.reached = threading.Event()
        """Somebody waits in `/stall`."""
        self.left = threading.Event()
        """And has gone."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is what half of the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: MediaOrigin
    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {
        "/red.png": RED,
        "/blue.png": BLUE,
        "/page": b"<html>" + SECRET,
        "/bomb.png": bomb(30000, 30000),
        "/large": bytes(3 * MIB),
    }

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:  # the name http.server calls
        self.server.asked.append(self.path)
        self.server.headers_seen.append({k.lower(): v for k, v in self.headers.items()})
        path = self.path.partition("?")[0]
        if path in self.files:
            self._send(200, self.files[path])
        else:
            with contextlib.suppress(OSError):
                getattr(self, "_" + path.strip("/").replace("-", "_"))()
            self.close_connection = True

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _missing(self) -> None:
        self._send(404, SECRET)

    def _redirect(self) -> None:
        self._send(302, location="/red.png")

    def _gzip(self) -> None:
        self._send(200, gzip.compress(bytes(2 * MIB)), content_encoding="gzip")

    def _promises_more(self) -> None:
        self._send(200, RED, content_length=str(len(RED) + 100))

    def _promises_much(self) -> None:
        self._send(200, RED, content_length=str(1 << 40))

    def _promises_nonsense(self) -> None:
        self._send(200, RED, content_length="-1")

    def _promises_many_digits(self) -> None:
        self._send(200, RED, content_length="9" * 5000)

    def _breaks_tls(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        raw = socket.socket(fileno=os.dup(self.connection.fileno()))
        with raw:
            raw.sendall(b"no record of TLS at all, in the middle of the answer")

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000000")
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(b"x")
            time.sleep(0.05)

    def _stall(self) -> None:
        """Silence until the client leaves."""
        self.server.reached.set()
        self.connection.settimeout(0.05)
        while not self.server.over.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    break
        self.server.left.set()


class Authority:
    """Who the tests trust, and the certificates of their hosts."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def server_side(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def client_side(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def write(self, path: Path) -> Path:
        """The file for SSL_CERT_FILE."""
        self._authority.cert_pem.write_to_path(path)
        return path


@contextmanager
def media_origin(context: ssl.SSLContext | None = None) -> Iterator[MediaOrigin]:
    """The host runs while the block does; with `context` it speaks TLS."""
    server = MediaOrigin()
    if context is not None:
        encrypt(server, context)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
