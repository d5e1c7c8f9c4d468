"""Encryption: the server's certificate, and who may connect; follows the files while serving.

Each connection gets the context that was loaded last. One that has begun keeps its own, so that
a new certificate cuts nobody off.
"""

import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from app.followed_files import FilesUnusableError, FollowedFiles, content
from app.observability.metrics import observe_certificate, observe_tls_files

log = logging.getLogger(__name__)

# What TLS 1.2 has without known weaknesses; those of TLS 1.3 are all of this kind.
# https://wiki.mozilla.org/Security/Server_Side_TLS, "intermediate", without DHE.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
# OpenSSL takes some that `cryptography` does not.
_NOT_A_CERTIFICATE = (ValueError, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where they are, PEM; `authorities` sign the certificates of clients, if those need one."""

    key: Path
    chain: Path
    authorities: Path | None

    def load(self) -> ssl.SSLContext:
        """What a connection is encrypted with; raises `FilesUnusableError`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        self._load_chain(context)
        if self.authorities is not None:
            _require(self.authorities, _CERTIFICATE, "a certificate")
            try:
                context.load_verify_locations(self.authorities)
            except OSError as error:
                raise _damaged(str(self.authorities), error) from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def certificate(self) -> tuple[str, datetime]:
        """Whose it is and until when it holds; raises `FilesUnusableError`."""
        try:
            found = x509.load_pem_x509_certificates(content(self.chain))[0]
            return found.subject.rfc4514_string(), found.not_valid_after_utc
        except _NOT_A_CERTIFICATE as error:
            raise FilesUnusableError(f"{self.chain} is damaged: {error}") from None

    def _load_chain(self, context: ssl.SSLContext) -> None:
        def no_password() -> str:
            # OpenSSL would ask on the terminal.
            raise FilesUnusableError(f"{self.key} is encrypted; give the key without a password")

        _require(self.key, b"PRIVATE KEY-----", "a private key")
        _require(self.chain, _CERTIFICATE, "a certificate")
        try:
            context.load_cert_chain(self.chain, self.key, password=no_password)
        except OSError as error:
            if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
                raise FilesUnusableError(
                    f"{self.key} is not the key of the first certificate in {self.chain}"
                ) from None
            raise _damaged(f"{self.key} or {self.chain}", error) from None


class Tls:
    """What new connections are encrypted with."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises `FilesUnusableError`."""
        self._files = files
        self.context = files.load()
        """For the listener; hands each connection over to the context that is in force."""
        self.context.sni_callback = self._hand_over
        paths = (files.key, files.chain, *([files.authorities] if files.authorities else []))
        self._followed = FollowedFiles(paths, self._load, observe_tls_files)

    async def follow(self) -> None:
        """Follow the files; never returns."""
        await self._followed.follow()

    def _load(self) -> None:
        context = self._files.load()
        subject, until = self._files.certificate()
        log.info("tls.loaded", extra={"subject": subject, "until": until.isoformat()})
        observe_certificate(until.timestamp())
        self._in_force = context

    def _hand_over(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        del name, context
        connection.context = self._in_force


def client_name(connection: Any) -> str | None:
    """The subject of the client's certificate (RFC 4514); None where it has sent none, or oddly."""
    certificate = connection.getpeercert(binary_form=True)
    if not certificate:
        return None
    with suppress(*_NOT_A_CERTIFICATE):
        return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    return None


def _require(file: Path, marker: bytes, what: str) -> None:
    if marker not in content(file):
        raise FilesUnusableError(f"{file} has not {what} in PEM")


def _damaged(files: str, error: OSError) -> FilesUnusableError:
    """OpenSSL says no more than this; a file that has just vanished is no SSLError."""
    reason = isinstance(error, ssl.SSLError) and error.reason
    return FilesUnusableError(f"{files} is damaged: {reason or error}")
