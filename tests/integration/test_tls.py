"""Encryption, with real clients on a real port; what is behind it is a page of text."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app import tls
from app.followed_files import FilesUnusableError
from app.settings import read
from tests.support.certificates import Certificates
from tests.support.doors import served
from tests.support.program import run
from tests.support.wait import wait_until


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells clients who they are."""
    proved = scope["extensions"].get("tls", {}).get("client_cert_name", "nobody")
    await PlainTextResponse(proved)(scope, receive, send)


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls")


@pytest.fixture
def port(files: Certificates) -> Iterator[int]:
    with served(who, read(files.variables("tls")).settings) as (found, _):
        yield found


@pytest.fixture
def mutual_port(files: Certificates) -> Iterator[int]:
    with served(who, read(files.variables("MTLS")).settings) as (found, _):
        yield found


def get(port: int, client: ssl.SSLContext) -> str:
    return httpx.get(f"https://localhost:{port}/", verify=client).text


def presented(port: int, client: ssl.SSLContext) -> str:
    """The name in the certificate that the server shows."""
    with (
        socket.create_connection(("localhost", port)) as plain,
        client.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return name_in(connection)


def name_in(connection: Any) -> str:
    found: str = dict(pair for (pair,) in connection.getpeercert()["subject"])["commonName"]
    return found


def s_client(port: int, *options: str, typed: str = "") -> str:
    """What OpenSSL's client says."""
    command = ["openssl", "s_client", "-connect", f"localhost:{port}", *options]
    done = subprocess.run(  # noqa: S603  # a program of the system
        command, input=typed, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout + done.stderr


def test_a_client_that_knows_the_authority_is_served(port: int, files: Certificates) -> None:
    assert get(port, files.client()) == "nobody"
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(port, ssl.create_default_context())


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_versions_without_known_weaknesses_are_spoken(port: int, version: str) -> None:
    said = s_client(port, version, "-alpn", "h2,http/1.1")
    assert "Server certificate" in said
    assert "ALPN protocol: http/1.1" in said


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA"),  # no forward secrecy
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256"),  # CBC
        ("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"),
    ],
    ids=["1.0", "1.1", "static", "cbc", "null"],
)
def test_weak_versions_and_ciphers_are_not(port: int, options: tuple[str, ...]) -> None:
    said = s_client(port, *options)
    assert "no peer certificate available" in said
    assert "Cipher is (NONE)" in said


def test_a_client_may_not_renegotiate(port: int) -> None:
    assert "no renegotiation" in s_client(port, "-tls1_2", typed="R\n")


def test_plain_http_at_an_encrypted_port_is_not_answered(port: int) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{port}/")


def test_clients_prove_who_they_are(mutual_port: int, files: Certificates) -> None:
    assert get(mutual_port, files.client("team-a")).startswith("CN=team-a,")
    for client in (files.client(), files.stranger()):
        with pytest.raises(httpx.TransportError):
            get(mutual_port, client)


def test_new_files_count_for_new_connections_only(
    port: int, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    client = files.client()
    assert presented(port, client) == "localhost"
    with httpx.Client(base_url=f"https://localhost:{port}", verify=client) as before:
        before.get("/")
        files.renew("renewed")
        wait_until(lambda: presented(port, client) == "renewed", within_s=10, what="it is shown")
        connection = before.get("/").extensions["network_stream"].get_extra_info("ssl_object")
        assert name_in(connection) == "localhost"
    assert caplog.text.count("files.not_reloaded") <= 1  # between the key and the chain


def test_no_request_fails_while_they_are_renewed(port: int, files: Certificates) -> None:
    client = files.client()
    failed: list[Exception] = []
    answered = 0
    is_over = threading.Event()

    def ask_again_and_again() -> None:
        nonlocal answered
        while not is_over.is_set():
            try:
                answered += httpx.get(f"https://127.0.0.1:{port}/", verify=client).is_success
            except httpx.HTTPError as error:
                failed.append(error)

    askers = [threading.Thread(target=ask_again_and_again) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in range(3):
        files.renew(f"renewed-{number}")
        wait_until(
            lambda name=f"renewed-{number}": presented(port, client) == name,  # type: ignore[misc]
            within_s=10,
            what="it is shown",
        )
    is_over.set()
    for asker in askers:
        asker.join()
    assert answered > 20
    assert not failed


@pytest.mark.parametrize("fault", ["key of another", "no PEM", "gone"])
def test_files_that_do_not_fit_change_nothing_and_are_loud(
    port: int, files: Certificates, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    client = files.client()
    kept = files.chain.read_bytes()
    match fault:
        case "key of another":
            files.renew("broken")
            files.chain.write_bytes(kept)
        case "no PEM":
            files.chain.write_text("a mistake")
        case _:
            files.chain.unlink()
    wait_until(lambda: "files.not_reloaded" in caplog.text, within_s=10, what="it is said")
    assert presented(port, client) == "localhost"
    files.renew("mended")
    wait_until(lambda: presented(port, client) == "mended", within_s=10, what="it goes on")


def test_another_authority_of_clients_counts_too(mutual_port: int, files: Certificates) -> None:
    client = files.client("team-a")
    assert get(mutual_port, client).startswith("CN=team-a,")
    others = Certificates(files.key.parent / "others")
    files.authorities.write_bytes(others.authorities.read_bytes())

    def is_refused() -> bool:
        try:
            get(mutual_port, client)
        except httpx.TransportError:
            return True
        return False

    wait_until(is_refused, within_s=10, what="the old authority is forgotten")


def spoil(files: Certificates, fault: str) -> str:
    """Make one of them unusable; what the server must say."""
    match fault:
        case "no key":
            files.key.unlink()
            return f"{files.key} cannot be read: No such file"
        case "key of another":
            key = files.key.read_bytes()
            files.renew()
            files.key.write_bytes(key)
            return "is not the key of the first certificate"
        case "key in the chain's place":
            files.chain.write_bytes(files.key.read_bytes())
            return f"{files.chain} has not a certificate in PEM"
        case "cut":
            files.chain.write_bytes(files.chain.read_bytes()[:200])
            return "is damaged"
        case "no such version":
            der = bytearray(ssl.PEM_cert_to_DER_cert(files.chain.read_text()))
            der[der.index(bytes.fromhex("a003020102")) + 4] = 5  # OpenSSL does not mind
            files.chain.write_text(ssl.DER_cert_to_PEM_cert(bytes(der)))
            return f"{files.chain} is damaged: 5 is not a valid X509 version"
        case "a password":
            command = ("openssl", "ec", "-in", files.key, "-aes256", "-passout", "pass:x")
            done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  # ours
            files.key.write_bytes(done.stdout)
            return "is encrypted"
        case _:
            files.authorities.write_text("nobody")
            return f"{files.authorities} has not a certificate in PEM"


@pytest.mark.parametrize(
    "fault",
    [
        "no key",
        "key of another",
        "key in the chain's place",
        "cut",
        "no such version",
        "a password",
        "authorities",
    ],
)
def test_files_that_cannot_be_used_are_named(files: Certificates, fault: str) -> None:
    said = spoil(files, fault)
    found = tls.TlsFiles(files.key, files.chain, files.authorities)
    with pytest.raises(FilesUnusableError) as caught:
        tls.Tls(found)
    assert said in str(caught.value)


def test_the_start_ends_with_8_and_a_sentence(files: Certificates, demo: Path) -> None:
    files.key.unlink()
    done = run("unigate", "serve", str(demo), **files.variables("TLS"))
    assert done.returncode == 8
    assert f"NIM_SSL_MODE TLS: {files.key} cannot be read" in done.stderr
