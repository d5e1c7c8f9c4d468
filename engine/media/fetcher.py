"""Fetches what a client's URL names, and is no way into networks that the client is not in.

The host is resolved once, every address is judged, and the connection goes to an address that was
judged, while TLS checks the certificate for the name. There is no redirect to follow and no proxy,
which would resolve the name a second time. A connection serves one fetch, so that none is shared by
two names that have the same address.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from ipaddress import ip_address

import httpx

from engine.account import account
from engine.errors import InvalidRequestError
from engine.media.address import Address, may_be_asked
from engine.media.allowance import Allowance
from engine.media.location import Location, locate
from engine.media.rules import MediaRules

log = logging.getLogger(__name__)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → the host's addresses; none if it has none."""

# Of their own: a name server that does not answer must not hold up others who need a thread.
_LOOKUPS = ThreadPoolExecutor(16, thread_name_prefix="media-lookup")
_PLAIN = {"", "identity"}


async def look_up(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says."""

    def ask() -> Sequence[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        return [str(address[0]) for *_, address in found]

    return await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)


class Fetcher:
    """Fetches by the rules; all of its refusals are `InvalidRequestError`."""

    def __init__(
        self,
        rules: MediaRules,
        domains: tuple[str, ...] = (),
        *,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`domains` is a second list of hosts, vLLM's own; what is fetched is on both.

        Takes 30 ms without `tls`: the certificates of the authorities are read.
        """
        self._rules = rules
        self._lists = tuple(hosts for hosts in (rules.hosts, domains) if hosts)
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context()

    def check(self, url: str) -> Location:
        """Where the URL leads, after all that can be judged without the network."""
        if not self._rules.fetches:
            raise InvalidRequestError("This server fetches nothing; send it as a data URL.")
        location = locate(url)
        if location.scheme == "http" and not self._rules.allows_http:
            raise InvalidRequestError("Only https URLs and data URLs are taken.")
        if not all(_is_on(hosts, location.host) for hosts in self._lists):
            raise InvalidRequestError(f"This server does not fetch from {location.host}.")
        if location.address is not None:
            self._require_allowed(location, [location.address])
        return location

    async def fetch(self, url: str, allowance: Allowance) -> bytes:
        """What is there; the time and the bytes are the request's."""
        location = self.check(url)
        try:
            async with asyncio.timeout_at(allowance.deadline_s), allowance.turn:
                addresses = await self._addresses(location)
                return await self._first_answer(location, addresses, allowance)
        except TimeoutError:
            message = f"{location.host} did not deliver it in {self._rules.timeout_s:g} s."
            raise InvalidRequestError(message) from None
        except (httpx.HTTPError, OSError) as error:
            # Only the log has the reason: it is about addresses.
            log.info("media.not_fetched", extra={"host": location.host, "reason": repr(error)})
            message = f"It could not be fetched from {location.host}."
            raise InvalidRequestError(message) from None

    async def _addresses(self, location: Location) -> list[Address]:
        """The addresses of the host, each of which may be asked."""
        if location.address is not None:
            return [location.address]
        found = await self._resolve(location.host, location.port)
        addresses = list(dict.fromkeys(ip_address(text) for text in found))
        self._require_allowed(location, addresses)
        return addresses

    def _require_allowed(self, location: Location, addresses: Sequence[Address]) -> None:
        # One refusal for both: who asks must not learn which names an internal network has.
        private = self._rules.private_networks
        if not addresses or not all(may_be_asked(address, private) for address in addresses):
            log.info("media.not_public", extra={"host": location.host, "known": bool(addresses)})
            raise InvalidRequestError(f"{location.host} is not a public host.")

    async def _first_answer(
        self, location: Location, addresses: Sequence[Address], allowance: Allowance
    ) -> bytes:
        """What the first address that can be connected to has to say."""
        *others, last = addresses
        for address in others:
            try:
                return await self._get(location, address, allowance)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._get(location, last, allowance)

    async def _get(self, location: Location, address: Address, allowance: Allowance) -> bytes:
        url = httpx.URL(
            scheme=location.scheme,
            host=str(address),
            port=location.port,
            raw_path=location.target.encode(),
        )
        headers = {
            "host": location.authority,
            "accept-encoding": "identity",
            "connection": "close",
            "user-agent": "unigate",
        }
        mine = account.get(None)
        if mine is not None and mine.traceparent:
            headers["traceparent"] = mine.traceparent
        timeout = httpx.Timeout(self._rules.timeout_s, connect=self._rules.connect_timeout_s)
        async with (
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=timeout) as client,
            client.stream(
                "GET", url, headers=headers, extensions={"sni_hostname": location.host}
            ) as response,
        ):
            _require_plain_answer(response, location.host)
            allowance.require_item(_announced(response))
            body = bytearray()
            async for piece in response.aiter_raw():
                allowance.spend_bytes(len(piece))
                body += piece
                allowance.require_item(len(body))
            return bytes(body)


def _is_on(hosts: tuple[str, ...], host: str) -> bool:
    names = (name.lower() for name in hosts)
    return any(host.endswith(n[1:]) if n.startswith("*.") else host == n for n in names)


def _require_plain_answer(response: httpx.Response, host: str) -> None:
    if response.is_redirect:
        raise InvalidRequestError(f"{host} redirects, which is not followed: send the final URL.")
    if response.status_code != HTTPStatus.OK:
        raise InvalidRequestError(f"{host} answered with status {response.status_code}.")
    if response.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
        raise InvalidRequestError(f"{host} sent it compressed, which it was not asked to.")


def _announced(response: httpx.Response) -> int:
    """The size that the server promises; what it sends is counted all the same."""
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0
