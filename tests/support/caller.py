"""Somebody who has a key."""

from typing import Any

import httpx

from tests.support.server import Server


class Caller:
    """Asks one server, with one key."""

    def __init__(self, server: Server, key: dict[str, str]) -> None:
        self.server = server
        self.key = key

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.post(path, body, headers=self.key | named)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.server.get(path, headers=self.key, **options)
