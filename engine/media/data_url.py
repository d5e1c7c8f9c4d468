"""Media that is in the request itself, as base64."""

import binascii
from base64 import b64decode

from engine.errors import InvalidRequestError

_SCHEME = "data:"


def is_data_url(url: str) -> bool:
    """Whether the URL has the media in it."""
    return url[: len(_SCHEME)].lower() == _SCHEME


def split_data_url(url: str) -> tuple[str, str]:
    """Media type and base64 of a data URL (RFC 2397); raises `InvalidRequestError`."""
    described, comma, content = url[len(_SCHEME) :].partition(",")
    media_type, semicolon, encoding = described.rpartition(";")
    if not (comma and semicolon and encoding.strip().lower() == "base64"):
        raise InvalidRequestError("A data URL has the form data:<type>;base64,<data>.")
    return media_type.partition(";")[0].strip().lower(), content


def size_of(content: str) -> int:
    """Bytes that a base64 text stands for, without decoding it."""
    return len(content) * 3 // 4 - content[-2:].count("=")


def read_base64(content: str) -> bytes:
    """The bytes of a base64 text; raises `InvalidRequestError`."""
    try:
        return b64decode(content, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        raise InvalidRequestError("This is not base64.") from None
