"""Reads server-sent events the way clients do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

DONE = "[DONE]"


def events(response: httpx.Response) -> Iterator[Any]:
    """The events of a stream: parsed data, or DONE; comments are skipped."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield DONE if data == DONE else json.loads(data)
        else:
            assert not line or line.startswith(":"), f"not an event: {line!r}"


@contextmanager
def stream(url: str, body: dict[str, Any], timeout_s: float = 60.0) -> Iterator[httpx.Response]:
    """A streamed answer, open."""
    with httpx.stream("POST", url, json={**body, "stream": True}, timeout=timeout_s) as response:
        yield response


def text_of(chunks: list[Any]) -> str:
    """What the deltas of a chat completion's chunks add up to."""
    choices = [choice for chunk in chunks if chunk != DONE for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
