"""More clients than a server can take: how those that get in fare, and what the others are told.

python -m load.overload URL CLIENTS SECONDS   prints what they saw, as JSON.

Each client asks for a short answer again and again, and comes back when a refusal says so.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import uvloop

from load.quantile import quantile
from load.traffic import Seen, User

_BODY: dict[str, Any] = {"max_tokens": 32, "ignore_eos": True, "temperature": 0.0}
_REFUSALS = {HTTPStatus.SERVICE_UNAVAILABLE: "overloaded"}
_LONGEST_WAIT_S = 120


class Refusable(User):
    """A user that reads when to come again."""

    retry_after = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the one that counts."""
        if name.lower() == b"retry-after":
            self.retry_after = value

    def to_come_again_s(self, seen: Seen) -> int:
        """What a refusal says; raises `ValueError` for one that is not as it should be."""
        code = json.loads(seen.body)["error"]["code"]
        wait_s = int(self.retry_after)
        if _REFUSALS.get(HTTPStatus(seen.status)) != code or not 1 <= wait_s <= _LONGEST_WAIT_S:
            raise ValueError(f"status {seen.status}: {seen.body[:500]!r}, retry in {wait_s} s")
        return wait_s


class Crowd:
    """Clients of one server, and what they have seen together."""

    def __init__(self, url: str, clients: int) -> None:
        self._address = urlsplit(url)
        self._clients = clients
        self._latencies_s: list[float] = []
        self._refused_s: list[float] = []
        self._malformed: Counter[str] = Counter()

    async def stay(self, seconds: float) -> dict[str, Any]:
        """Ask until the time is over; figures of all answers."""
        until_s = time.perf_counter() + seconds
        await asyncio.gather(*(self._ask(number, until_s) for number in range(self._clients)))
        return {
            "answered": len(self._latencies_s),
            "p50_ms": 1000 * quantile(self._latencies_s, 0.5),
            "p99_ms": 1000 * quantile(self._latencies_s, 0.99),
            "refused": len(self._refused_s),
            "refused_p99_ms": 1000 * quantile(self._refused_s, 0.99),
            "malformed": dict(self._malformed),
        }

    async def _ask(self, number: int, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        host, port = str(self._address.hostname), self._address.port or 80
        requests = (self._request(number) for _ in itertools.count())
        _, user = await loop.create_connection(lambda: Refusable(requests), host, port)
        while time.perf_counter() < until_s:
            try:
                wait_s = self._take(user, await user.ask())
            except (ValueError, KeyError, OSError) as error:
                self._malformed[str(error)] += 1
                return
            await asyncio.sleep(min(wait_s, until_s - time.perf_counter()))
        user.close()

    def _take(self, user: Refusable, seen: Seen) -> float:
        if seen.status == HTTPStatus.OK:
            self._latencies_s.append(seen.latency_s)
            return 0.0
        self._refused_s.append(seen.latency_s)
        return user.to_come_again_s(seen)

    def _request(self, number: int) -> bytes:
        content = f"Count to {number} at {time.perf_counter()}."
        body = json.dumps(_BODY | {"messages": [{"role": "user", "content": content}]}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self._address.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def main() -> None:
    """Do what the command line says."""
    url, clients, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(Crowd(url, int(clients)).stay(float(seconds)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
