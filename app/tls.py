"""Encryption: the server's certificate, and who may connect; follows the files while serving.

Each connection gets the context that was loaded last. One that has begun keeps its own, so that
a new certificate cuts nobody off; files that do not fit together change nothing.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from app.observability.metrics import observe_certificate, observe_tls_files

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
# What TLS 1.2 has without known weaknesses; those of TLS 1.3 are all of this kind.
# https://wiki.mozilla.org/Security/Server_Side_TLS, "intermediate", without DHE.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

Stamp = tuple[tuple[int, int, int], ...]


class TlsUnusableError(Exception):
    """Key and certificates cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where they are, PEM; `authorities` sign the certificates of clients, if those need one."""

    key: Path
    chain: Path
    authorities: Path | None

    def stamp(self) -> Stamp:
        """Changes whenever one of the files does; raises `OSError`."""
        files = (self.key, self.chain, *([self.authorities] if self.authorities else []))
        states = [file.stat() for file in files]
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)


class Tls:
    """What new connections are encrypted with."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises `TlsUnusableError`."""
        self._files = files
        self._stamp = _stamp(files)
        self.context = _load(files)
        """For the listener; hands each connection over to the context that is in force."""
        self.context.sni_callback = self._hand_over
        self._in_force = self.context
        self._complaint = ""
        _tell(files)
        observe_tls_files(True)

    async def watch(self) -> None:
        """Follow the files; never returns."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await asyncio.to_thread(self._look)

    def _look(self) -> None:
        try:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                self._in_force = _load(self._files)
                self._stamp = stamp
                _tell(self._files)
        except TlsUnusableError as error:
            if str(error) != self._complaint:
                log.error("tls.not_reloaded", extra={"reason": str(error)})  # noqa: TRY400  # ours
            self._complaint = str(error)
        else:
            self._complaint = ""
        observe_tls_files(not self._complaint)

    def _hand_over(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        del name
        if self._in_force is not context:
            connection.context = self._in_force


def client_name(connection: Any) -> str | None:
    """The subject of the client's certificate (RFC 4514); None where it has sent none."""
    certificate = connection.getpeercert(binary_form=True)
    if not certificate:
        return None
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()


def _stamp(files: TlsFiles) -> Stamp:
    try:
        return files.stamp()
    except OSError as error:
        raise TlsUnusableError(f"{error.filename} cannot be read: {error.strerror}") from None


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _require(files.key, b"PRIVATE KEY-----", "a private key")
    _require(files.chain, b"-----BEGIN CERTIFICATE-----", "a certificate")

    def no_password() -> str:
        # OpenSSL would ask on the terminal.
        raise TlsUnusableError(f"{files.key} is encrypted; give the key without a password")

    try:
        context.load_cert_chain(files.chain, files.key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsUnusableError(
                f"{files.key} is not the key of the first certificate in {files.chain}"
            ) from None
        raise TlsUnusableError(
            f"{files.key} or {files.chain} is damaged: {error.reason or error}"
        ) from None
    if files.authorities is not None:
        _require(files.authorities, b"-----BEGIN CERTIFICATE-----", "a certificate")
        try:
            context.load_verify_locations(files.authorities)
        except ssl.SSLError as error:
            raise TlsUnusableError(
                f"{files.authorities} is damaged: {error.reason or error}"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _require(file: Path, marker: bytes, what: str) -> None:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise TlsUnusableError(f"{file} cannot be read: {error.strerror}") from None
    if marker not in content:
        raise TlsUnusableError(f"{file} has not {what} in PEM")


def _tell(files: TlsFiles) -> None:
    certificate = x509.load_pem_x509_certificates(files.chain.read_bytes())[0]
    log.info(
        "tls.loaded",
        extra={
            "subject": certificate.subject.rfc4514_string(),
            "until": certificate.not_valid_after_utc.isoformat(),
        },
    )
    observe_certificate(certificate.not_valid_after_utc.timestamp())
