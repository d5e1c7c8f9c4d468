"""Fetching over real sockets and TLS, from hosts that lie; only the name server is a fake."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_network

import pytest

from engine.account import Account, account
from engine.errors import InvalidRequestError
from engine.media.allowance import Allowance
from engine.media.fetcher import Fetcher, look_up
from engine.media.rules import MediaRules
from tests.support.media_origin import (
    MIB,
    NAME,
    RED,
    SECRET,
    Authority,
    MediaOrigin,
    media_origin,
)

HERE = "127.0.0.1"
RULES = MediaRules(
    private_networks=(ip_network("127.0.0.1/32"),),
    connect_timeout_s=10.0,
    timeout_s=20.0,
    item_bytes=MIB,
    request_bytes=2 * MIB,
)
IMPATIENT = replace(RULES, timeout_s=1.0)


class Names:
    """A name server: each question takes the next answer, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def origin(authority: Authority) -> Iterator[MediaOrigin]:
    with media_origin(authority.server_side(NAME)) as server:
        yield server


def fetch(
    authority: Authority,
    *urls: str,
    names: Names | None = None,
    rules: MediaRules = RULES,
    domains: tuple[str, ...] = (),
) -> list[bytes]:
    """All of them for one request, at the same time."""

    async def all_of_them() -> list[bytes]:
        resolve = names or Names([HERE])
        fetcher = Fetcher(rules, domains, resolve=resolve, tls=authority.client_side())
        allowance = Allowance(rules)
        return await asyncio.gather(*(fetcher.fetch(url, allowance) for url in urls))

    return asyncio.run(all_of_them())


def refusal(authority: Authority, *urls: str, **options: object) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        fetch(authority, *urls, **options)  # type: ignore[arg-type]  # the options of fetch
    message = str(caught.value)
    for secret in (HERE, "10.0.0.1", "169.254", SECRET.decode()):
        assert secret not in message
    return message


def test_a_file_is_fetched_by_its_name(authority: Authority, origin: MediaOrigin) -> None:
    names = Names([HERE])
    url = f"https://{NAME}:{origin.port}/red.png?size=1"
    assert fetch(authority, url, names=names) == [RED]
    assert names.asked == [(NAME, origin.port)]
    assert origin.asked == ["/red.png?size=1"]
    (headers,) = origin.headers_seen
    assert headers["host"] == f"{NAME}:{origin.port}"
    assert headers["accept-encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & headers.keys()


def test_it_is_fetched_as_a_part_of_the_requests_trace(
    authority: Authority, origin: MediaOrigin
) -> None:
    url = f"https://{NAME}:{origin.port}/red.png"
    mine = Account()
    token = account.set(mine)
    try:
        fetch(authority, url)
        mine.traceparent = f"00-{'1' * 32}-{'2' * 16}-01"
        fetch(authority, url)
    finally:
        account.reset(token)
    assert [it.get("traceparent") for it in origin.headers_seen] == [None, mine.traceparent]


def test_a_name_that_changes_its_address_gains_nothing(
    authority: Authority, origin: MediaOrigin
) -> None:
    rebinding = Names([HERE], ["10.0.0.1"])
    assert fetch(authority, f"https://{NAME}:{origin.port}/red.png", names=rebinding) == [RED]
    assert len(rebinding.asked) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["127.0.0.2"],
        ["8.8.8.8", "10.0.0.1"],
        [],
    ],
    ids=str,
)
def test_a_name_that_leads_inside_is_refused_as_one_that_leads_nowhere(
    authority: Authority, origin: MediaOrigin, addresses: list[str]
) -> None:
    url = f"https://{NAME}:{origin.port}/red.png"
    assert refusal(authority, url, names=Names(addresses)) == f"{NAME} is not a public host."
    assert not origin.asked


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.2/", "https://[::1]/", "https://10.0.0.1/", "https://[fd00:ec2::254]/"],
)
def test_an_address_that_leads_inside_is_refused_before_anything_is_asked(
    authority: Authority, url: str
) -> None:
    names = Names([HERE])
    with pytest.raises(InvalidRequestError, match="not a public host"):
        fetch(authority, url, names=names)
    assert not names.asked


def test_the_certificate_must_be_for_the_name(authority: Authority, origin: MediaOrigin) -> None:
    other = f"https://other.example:{origin.port}/red.png"
    assert refusal(authority, other) == "It could not be fetched from other.example."
    refusal(Authority(), f"https://{NAME}:{origin.port}/red.png")
    assert not origin.asked


def test_two_names_of_one_address_do_not_share_a_connection(authority: Authority) -> None:
    with media_origin(authority.server_side(NAME)) as origin:
        urls = [f"https://{name}:{origin.port}/red.png" for name in (NAME, "other.example")]
        refusal(authority, *urls)
        assert "other.example" not in {h["host"].partition(":")[0] for h in origin.headers_seen}


def test_the_next_address_is_tried_when_one_does_not_answer(
    authority: Authority, origin: MediaOrigin
) -> None:
    rules = replace(RULES, private_networks=(ip_network("127.0.0.0/24"),))
    names = Names(["127.0.0.9", HERE])  # nobody listens on the first
    assert fetch(authority, f"https://{NAME}:{origin.port}/red.png", names=names, rules=rules) == [
        RED
    ]


def test_http_is_for_whoever_allows_it(authority: Authority) -> None:
    with media_origin() as origin:
        url = f"http://{NAME}:{origin.port}/red.png"
        assert "Only https" in refusal(authority, url)
        assert not origin.asked
        assert fetch(authority, url, rules=replace(RULES, allows_http=True)) == [RED]


def test_nothing_is_fetched_where_it_is_switched_off(
    authority: Authority, origin: MediaOrigin
) -> None:
    rules = replace(RULES, fetches=False)
    assert "data URL" in refusal(authority, f"https://{NAME}:{origin.port}/red.png", rules=rules)
    assert not origin.asked


@pytest.mark.parametrize(
    ("hosts", "domains", "fetched"),
    [
        ((NAME,), (), True),
        (("*.example",), (), True),
        (("*.EXAMPLE",), (), True),
        (("other.example", NAME), (), True),
        ((), (NAME,), True),
        (("*.example",), (NAME,), True),
        (("other.example",), (), False),
        (("example",), (), False),
        (("*.ages.example",), (), False),
        ((), ("other.example",), False),
        ((NAME,), ("other.example",), False),
    ],
    ids=str,
)
def test_only_hosts_on_the_lists_are_asked(
    authority: Authority,
    origin: MediaOrigin,
    hosts: tuple[str, ...],
    domains: tuple[str, ...],
    fetched: bool,
) -> None:
    url, rules = f"https://{NAME}:{origin.port}/red.png", replace(RULES, hosts=hosts)
    if fetched:
        assert fetch(authority, url, rules=rules, domains=domains) == [RED]
    else:
        names = Names([HERE])
        message = refusal(authority, url, rules=rules, domains=domains, names=names)
        assert message == f"This server does not fetch from {NAME}."
        assert not names.asked


MISBEHAVING = {
    "missing": "answered with status 404",
    "redirect": "redirects",
    "gzip": "compressed",
    "large": "may have 1 MiB",
    "endless": "may have 1 MiB",
    "promises-much": "may have 1 MiB",
    "promises-more": "could not be fetched",
    "promises-nonsense": "could not be fetched",
    "promises-many-digits": "could not be fetched",
    "breaks-tls": "could not be fetched",
}


@pytest.mark.parametrize("path", MISBEHAVING)
def test_a_host_that_misbehaves_is_left(
    authority: Authority, origin: MediaOrigin, path: str
) -> None:
    assert MISBEHAVING[path] in refusal(authority, f"https://{NAME}:{origin.port}/{path}")
    assert origin.asked == [f"/{path}"]


@pytest.mark.parametrize("path", ["drip", "stall"])
def test_a_host_that_takes_its_time_is_left(
    authority: Authority, origin: MediaOrigin, slow: float, path: str
) -> None:
    started_s = time.monotonic()
    message = refusal(authority, f"https://{NAME}:{origin.port}/{path}", rules=IMPATIENT)
    assert message == f"{NAME} did not deliver it in 1 s."
    assert time.monotonic() - started_s < 3 * slow


def test_files_of_a_request_share_their_bytes(authority: Authority, origin: MediaOrigin) -> None:
    rules = replace(RULES, item_bytes=4 * MIB, request_bytes=7 * MIB)
    url = f"https://{NAME}:{origin.port}/large"
    fetch(authority, url, url, rules=rules)
    assert "together may have 7 MiB" in refusal(authority, url, url, url, rules=rules)


def test_a_request_knocks_at_few_doors_at_a_time_and_all_share_its_time(
    authority: Authority, slow: float
) -> None:
    class Silent(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            self.asked.append((host, port))
            await asyncio.sleep(60)
            return [HERE]

    names = Silent([HERE])
    started_s = time.monotonic()
    message = refusal(authority, *[f"https://{NAME}/x"] * 20, names=names, rules=IMPATIENT)
    assert message == f"{NAME} did not deliver it in 1 s."
    assert time.monotonic() - started_s < 3 * slow
    assert len(names.asked) == 8


def test_a_host_that_never_greets_is_left_in_the_time_to_connect(
    authority: Authority, slow: float
) -> None:
    with closing(socket.create_server((HERE, 0))) as silent:
        port = silent.getsockname()[1]
        started_s = time.monotonic()
        rules = replace(RULES, connect_timeout_s=0.5, timeout_s=60.0)
        message = refusal(authority, f"https://{NAME}:{port}/x", rules=rules)
    assert message == f"It could not be fetched from {NAME}."
    assert time.monotonic() - started_s < 3 * slow


def test_a_proxy_of_the_environment_is_not_asked(
    authority: Authority, origin: MediaOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(authority, f"https://{NAME}:{origin.port}/red.png") == [RED]


def test_whoever_stops_waiting_leaves_no_connection(
    authority: Authority, origin: MediaOrigin, slow: float
) -> None:
    async def leave() -> None:
        fetcher = Fetcher(RULES, resolve=Names([HERE]), tls=authority.client_side())
        url = f"https://{NAME}:{origin.port}/stall"
        task = asyncio.ensure_future(fetcher.fetch(url, Allowance(RULES)))
        assert await asyncio.to_thread(origin.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert origin.left.wait(2 * slow)


def test_the_systems_resolver_is_asked_beside_the_event_loop() -> None:
    async def ask() -> tuple[Sequence[str], Sequence[str]]:
        return await look_up("localhost", 443), await look_up("nobody.invalid", 443)

    found, nothing = asyncio.run(ask())
    assert set(found) <= {HERE, "::1"}
    assert found
    assert not nothing
    assert any(t.name.startswith("media-lookup") for t in threading.enumerate())
