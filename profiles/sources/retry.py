"""When a server that is unwell for a moment is worth asking again, and after how long."""

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say: later, perhaps."""

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


def asked_s(retry_after: str | None) -> float:
    """The wait that a Retry-After header asks for; a date in it counts as none."""
    asked = retry_after or ""
    return min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() else 0.0


def wait_s(status: int, retry_after: str | None, attempt: int) -> float | None:
    """How long to wait after the given attempt, counted from 1; None when it was the last."""
    if status not in RETRYABLE or attempt >= _ATTEMPTS:
        return None
    return max(asked_s(retry_after), _FIRST_WAIT_S * 2.0 ** (attempt - 1))
