"""An HTTP server that gives files by ranges, and can cut, stall, corrupt, refuse and be slow."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK_BYTES = 64 * 1024


class Faults:
    """What goes wrong, for bodies of files only; each list is used up from its front."""

    def __init__(self) -> None:
        self.cuts: list[int] = []  # bytes after which the connection breaks, one for each body
        self.corrupt = 0  # how many bodies have a wrong byte; negative: all
        self.stall = False  # half of the body, then silence
        self.statuses: list[int] = []  # answers in the place of bodies
        self.slow_s = 0.0  # before each piece
        self.without_ranges = False
        self.busy: list[int] = []  # answers to whatever is asked next


class Origin(ThreadingHTTPServer):
    """Counts what is asked for and what is sent."""

    daemon_threads = True

    def __init__(self, handler: type["Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.faults = Faults()
        self.lock = threading.Lock()
        self.requests: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.sent: dict[str, int] = {}
        self.over = threading.Event()
        self.held = threading.Event()
        self.held.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def sent_bytes(self) -> int:
        return sum(self.sent.values())

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """One request; what a protocol answers is in `answer`."""

    server: Origin
    protocol_version = "HTTP/1.1"
    # Headers and body in one go are one packet, and no wait for its acknowledgement (40 ms).
    wbufsize = -1

    def do_HEAD(self) -> None:
        self._do()

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, path: str, query: dict[str, str]) -> None:
        raise NotImplementedError

    def _do(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        with self.server.lock:
            self.server.requests.append(path)
            self.server.headers_seen.append({k.lower(): v for k, v in self.headers.items()})
        self.server.held.wait(timeout=30)
        with self.server.lock:
            busy = self.server.faults.busy.pop(0) if self.server.faults.busy else 0
        if busy:
            self.send(busy, b"{}", retry_after="0")
            return
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.answer(path, query)

    def send(self, status: int, data: bytes = b"{}", **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        known = {"content-type": "application/json", "content-length": str(len(data))}
        for name, value in {**known, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def send_file(self, name: str, data: bytes, **headers: str) -> None:
        """A file, or the range of it that is wanted, as well as the faults allow."""
        faults = self.server.faults
        with self.server.lock:
            is_asked = faults.statuses and self.command != "HEAD"
            status = faults.statuses.pop(0) if is_asked else 0
        if status:
            self.send(status, b"{}")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        body, code = data, 200
        if asked and not faults.without_ranges:
            start, end = int(asked[1]), int(asked[2] or len(data) - 1)
            body, code = data[start : end + 1], 206
            headers["content_range"] = f"bytes {start}-{end}/{len(data)}"
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(name, body)

    def _send_body(self, name: str, body: bytes) -> None:
        faults = self.server.faults
        with self.server.lock:
            cut = faults.cuts.pop(0) if faults.cuts and body else None
            if faults.corrupt and body:
                faults.corrupt -= 1
                middle = len(body) // 2
                body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        end = len(body) if cut is None else min(cut, len(body))
        if faults.stall:
            end = len(body) // 2
        for at in range(0, end, _CHUNK_BYTES):
            if faults.slow_s:
                time.sleep(faults.slow_s)
            piece = body[at : min(at + _CHUNK_BYTES, end)]
            self.wfile.write(piece)
            self.wfile.flush()
            with self.server.lock:
                self.server.sent[name] = self.server.sent.get(name, 0) + len(piece)
        if faults.stall:
            self.server.over.wait(timeout=30)
        if end < len(body):
            self.close_connection = True


_Kind = TypeVar("_Kind", bound=Origin)


@contextmanager
def running(server: _Kind) -> Iterator[_Kind]:
    """The server runs while the block does."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.held.set()
            server.over.set()
            server.shutdown()
            thread.join()
