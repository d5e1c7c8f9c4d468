"""When a server that is unwell for a moment is worth asking again, and after how long."""

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say: later, perhaps."""

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


def asked_s(retry_after: str | None) -> float:
    """The wait that a Retry-After header asks for; a date in it counts as none."""
    asked = retry_after or ""
    return min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() else 0.0


def patiently(call: Callable[[], T]) -> T:
    """Call again for as long as the answer is "later"; raises the last one."""
    for attempt in itertools.count(1):
        try:
            return call()
        except (httpx.HTTPStatusError, HfHubHTTPError) as error:
            answer = error.response
            if answer.status_code not in RETRYABLE or attempt >= _ATTEMPTS:
                raise
            pause_s = _FIRST_WAIT_S * 2.0 ** (attempt - 1)
            time.sleep(max(asked_s(answer.headers.get("retry-after")), pause_s))
    raise AssertionError  # for the type checker, which does not know that count has no end
