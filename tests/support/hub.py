"""A Hugging Face hub in miniature: the three routes that fetching a snapshot takes."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one directory as `org/demo`; `org/gated` wants a token; nothing else exists."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory = directory
        self.requests: list[str] = []
        self.held = threading.Event()
        self.held.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(path)
        self.server.held.wait(timeout=30)
        if "org/gated" in path:
            self._send(403, b"{}", body, {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/models/org/demo"):
            self._send(200, self._repository(path), body, {})
        elif path.startswith("/org/demo/resolve/"):
            self._file(path.split("/resolve/")[1].partition("/")[2], body)
        else:
            self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def _repository(self, path: str) -> bytes:
        files = sorted(self.server.directory.iterdir())
        if "/tree/" in path:
            return json.dumps(
                [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0"}
                    for f in files
                ]
            ).encode()
        siblings = [{"rfilename": file.name} for file in files]
        return json.dumps({"id": "org/demo", "sha": COMMIT, "siblings": siblings}).encode()

    def _file(self, name: str, body: bool) -> None:
        file = self.server.directory / name
        if not file.is_file():
            self._send(404, b"{}", body, {"X-Error-Code": "EntryNotFound"})
            return
        data = file.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        self._send(200, data, body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@contextmanager
def hub(directory: Path) -> Iterator[Hub]:
    """A hub that runs while the block does."""
    with Hub(directory) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.held.set()
            server.shutdown()
            thread.join()
