"""A client that may leave at any moment: a request on a connection of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.server import Server


@contextmanager
def posted(server: Server, path: str, **asked: Any) -> Iterator[socket.socket]:
    """A request that has been sent; `asked` is what httpx takes: `json`, `data`, `files`."""
    request = httpx.Request("POST", server.url + path, **asked)
    fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST {path} HTTP/1.1\r\n{fields}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + request.read())
        yield connection
