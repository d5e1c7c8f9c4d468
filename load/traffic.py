"""One client for all contestants, in a process of its own, with little to do while tokens come.

python -m load.traffic URL CASE   prints what it saw as JSON, or says why it is no result.

Connections are kept alive, as SDKs keep them. What arrives is noted with its time and read only
when all is over; tokens are counted by the server's own usage.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

from load.answer import StreamedAnswer
from load.cases import CASES, Case
from load.quantile import quantile

LONGEST_CASE_S = 300.0


@dataclass(slots=True)
class Seen:
    """One answer as it arrived; times in seconds on the clock of `time.perf_counter`."""

    asked_s: float
    status: int = 0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(piece for _, piece in self.pieces)

    @property
    def latency_s(self) -> float:
        """From the question to the last piece."""
        return self.pieces[-1][0] - self.asked_s


class User(asyncio.Protocol):
    """One connection, on which one request follows another."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self._requests = iter(requests)
        self._seen = Seen(0.0)
        self._ended: asyncio.Future[Seen] | None = None
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    async def ask(self) -> Seen:
        """Send the next request, and wait for the end of its answer."""
        self._ended = asyncio.get_running_loop().create_future()
        self._seen = Seen(time.perf_counter())
        self._transport.write(next(self._requests))
        return await self._ended

    def data_received(self, data: bytes) -> None:
        """Hand it to the parser."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Note when a piece came."""
        self._seen.pieces.append((time.perf_counter(), body))

    def on_message_complete(self) -> None:
        """Hand the answer over; the parser is not for two."""
        self._seen.status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        assert self._ended
        self._ended.set_result(self._seen)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._ended and not self._ended.done():
            self._ended.set_exception(ConnectionError(f"the connection was cut: {exc}"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def drive(url: str, case: Case) -> dict[str, float]:
    """Run a case, and say when it began, too, on the clock of `time.perf_counter`.

    Raises what `main` has a sentence for.
    """
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    pass_ = random.randrange(10**6)  # noqa: S311  # tells passes apart, no more
    loop = asyncio.get_running_loop()

    def request(number: int) -> bytes:
        body = json.dumps(numbered(case.body, f"{pass_}-{number}")).encode()
        head = (
            f"POST {case.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def connect(number: int) -> User:
        requests = [request(number * case.requests + index) for index in range(case.requests)]
        _, user = await loop.create_connection(lambda: User(requests), host, port)
        return user

    async def ask(user: User) -> list[Seen]:
        return [await user.ask() for _ in range(case.requests)]

    async with asyncio.timeout(LONGEST_CASE_S):
        users = [await connect(number) for number in range(case.users)]
        started_s = time.perf_counter()
        answers = await asyncio.gather(*map(ask, users))
        took_s = time.perf_counter() - started_s
    for user in users:
        user.close()
    figures = summarise([seen for each in answers for seen in each], case, took_s)
    return {"started_s": started_s, **figures}


def numbered(body: dict[str, Any], number: str) -> dict[str, Any]:
    """The body, with a text that no other request has: servers may remember what they have seen."""
    if "messages" in body:
        *before, last = body["messages"]
        return body | {"messages": [*before, last | {"content": f"{last['content']} {number}"}]}
    if isinstance(body["input"], str):
        return body | {"input": f"{body['input']} {number}"}
    return body | {"input": [f"{text} {number}" for text in body["input"]]}


def summarise(answers: list[Seen], case: Case, took_s: float) -> dict[str, float]:
    """The figures of a case; raises `ValueError` when one of its answers is none."""
    for seen in answers:
        if seen.status != HTTPStatus.OK:
            raise ValueError(f"status {seen.status}: {seen.body[:500].decode(errors='replace')}")
    latencies_s = [seen.latency_s for seen in answers]
    figures = {
        "requests": float(len(answers)),
        "took_s": took_s,
        "requests_per_s": len(answers) / took_s,
        "latency_p50_ms": 1000 * quantile(latencies_s, 0.5),
        "latency_p99_ms": 1000 * quantile(latencies_s, 0.99),
    }
    return figures | _streamed(answers, took_s) if case.is_streamed else figures


def _streamed(answers: list[Seen], took_s: float) -> dict[str, float]:
    streams = [_read(seen) for seen in answers]
    first_s = [stream.first_s for stream in streams if stream.first_s is not None]
    gaps_s = [gap_s for stream in streams for gap_s in stream.gaps_s]
    tokens = sum(stream.tokens for stream in streams)
    return {
        "tokens": float(tokens),
        "tokens_per_s": tokens / took_s,
        "ttft_p50_ms": 1000 * quantile(first_s, 0.5),
        "ttft_p99_ms": 1000 * quantile(first_s, 0.99),
        "itl_p50_ms": 1000 * quantile(gaps_s, 0.5),
        "itl_p99_ms": 1000 * quantile(gaps_s, 0.99),
    }


def _read(seen: Seen) -> StreamedAnswer:
    stream = StreamedAnswer(seen.asked_s)
    for now_s, piece in seen.pieces:
        stream.take(piece, now_s)
    if stream.failure:
        raise ValueError(stream.failure)
    return stream


def main() -> None:
    """Run the case that the command line names."""
    url, name = sys.argv[1:]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(drive(url, CASES[name]))
    except TimeoutError:
        raise SystemExit(f"not over after {LONGEST_CASE_S:g} s") from None
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
