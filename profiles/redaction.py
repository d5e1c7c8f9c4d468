"""Takes secrets out of what other people's libraries say, before anybody reads it."""

import re
from collections.abc import Iterable

# Signed URLs carry their key in the query, careless ones a password before the host.
_QUERY = re.compile(r"(https?://[^\s'\"<>?]+)\?[^\s'\"<>]*")
_USER = re.compile(r"(https?://)[^\s/'\"<>@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic|token)\s+[\w.~+/=-]{8,}")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without secrets, signatures, passwords."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _QUERY.sub(r"\1", text)
    text = _USER.sub(r"\1", text)
    return _BEARER.sub(r"\1 ***", text)


def sentence(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The first line of what an error and its deepest cause say, fit to be shown."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return redact(lines[0] if lines else type(error).__name__, secrets)
