"""The one reading of a URL: what is checked is what is connected to, since nobody parses again."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urlsplit

from engine.errors import InvalidRequestError
from engine.media.address import Address

_PORTS = {"https": 443, "http": 80}
_LARGEST_PORT = 65535
_LONGEST_URL = 8192
_LONGEST_NAME = 253
# What readers of URLs disagree about: they take a backslash for a slash, or leave out a tab.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# A last label like these makes the C library read the host as an IPv4 address: 2130706433, 0x7f.1.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_KEPT = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is to be fetched from."""

    scheme: str
    host: str
    """In lower case, without brackets, and without a dot at the end."""

    port: int
    target: str
    """Path and query."""

    address: Address | None
    """The host, if it is an address."""

    @property
    def authority(self) -> str:
        """Host and port as a `Host` header has them."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def locate(url: str) -> Location:
    """Read a URL; raises `InvalidRequestError`, which never has the URL in it."""
    if len(url) > _LONGEST_URL:
        raise InvalidRequestError(f"A URL may have {_LONGEST_URL} characters.")
    if _AMBIGUOUS.search(url):
        raise InvalidRequestError("A URL has no spaces, control characters or backslashes.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidRequestError("This is not a URL.") from None
    if parts.scheme not in _PORTS:
        raise InvalidRequestError("Only https URLs and data URLs are taken.")
    if "@" in parts.netloc:
        raise InvalidRequestError("A URL must not have a user or a password in it.")
    host, port = _authority(parts.netloc.lower(), _PORTS[parts.scheme])
    name, address = _host(host)
    target = quote(parts.path or "/", safe=_KEPT)
    if parts.query:
        target += "?" + quote(parts.query, safe=_KEPT)
    return Location(parts.scheme, name, port, target, address)


def _authority(text: str, usual_port: int) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    port = int(found["port"] or usual_port) if found else 0
    if found is None or not 0 < port <= _LARGEST_PORT:
        raise InvalidRequestError("This URL has no host and port that can be fetched from.")
    return found["host"], port


def _host(text: str) -> tuple[str, Address | None]:
    """The host in its one form, and the address that it is, if it is one."""
    try:
        if text.startswith("["):
            v6 = IPv6Address(text[1:-1])
            return str(v6), v6
        host = text.removesuffix(".")
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            v4 = IPv4Address(host)  # four decimal numbers without leading zeros, nothing else
            return str(v4), v4
    except AddressValueError:
        raise InvalidRequestError("This URL's host is not an address in its usual form.") from None
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise InvalidRequestError("This URL has no host that can be fetched from.")
    return host, None
