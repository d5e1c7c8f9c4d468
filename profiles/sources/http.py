"""Bytes and JSON over HTTP, for the sources that have no library of their own for it.

huggingface_hub 2.4.0 gives up a partial file when its process ends (its pull request 4228) and
compares no checksums, so the hub's files come through here as well.
"""

import functools
import ssl
from collections.abc import Generator, Mapping
from typing import Any

import httpx

from profiles.errors import Cause, SourceError
from profiles.redaction import redact, sentence
from profiles.sources.remote import InterruptedTransferError, RemoteFile
from profiles.sources.retry import RETRYABLE, asked_s, patiently

# One request asks for no more: a signed address lives for an hour or so, and CDNs refuse to give
# more than 50 GB at once (huggingface_hub's MAX_HTTP_DOWNLOAD_SIZE).
_PART_BYTES = 1024**3
_PARTIAL = 206


class HttpClient:
    """Proxies, NO_PROXY and SSL_CERT_FILE come from the environment, as httpx reads them."""

    def __init__(
        self, *, headers: Mapping[str, str] | None = None, timeout_s: float, name: str
    ) -> None:
        self._name = name
        self._headers = dict(headers or {})
        verify = trusted()
        try:
            self._client = httpx.Client(
                verify=verify,
                follow_redirects=True,
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
                # Compressed answers have no offsets to go on from.
                headers={"accept-encoding": "identity", "user-agent": "unigate"},
                limits=httpx.Limits(max_connections=32),
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # Their text may hold the proxy's password.
            raise SourceError(
                f"{name}: the proxy that is set cannot be used: write http://host:port into "
                "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY (SOCKS is not supported)",
                Cause.BROKEN,
            ) from None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def json(self, url: str, *, params: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """What a GET answers, perhaps not at once.

        Raises:
            Refusal: with the status, for the source to put into words.
            SourceError: nobody answers, or not in JSON.
        """
        answer = self._get(url, params, {**self._headers, **headers})
        if not answer.is_success:
            raise Refusal(answer.status_code, _said(answer))
        try:
            return answer.json()
        except ValueError:
            raise SourceError(
                f"{self._name}: {url.partition('?')[0]} does not answer in JSON: "
                "check the endpoint and proxies",
                Cause.BROKEN,
            ) from None

    def _get(
        self, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The first answer that is not "later"; the last one if there is none."""

        def ask() -> httpx.Response:
            answer = self._client.get(url, params=params, headers=headers)
            if answer.status_code in RETRYABLE:
                answer.raise_for_status()
            return answer

        try:
            return patiently(ask)
        except httpx.HTTPStatusError as error:
            return error.response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self._name, error) from None

    def size(self, url: str) -> int:
        """A file's length, for listings without one."""
        headers = {**self._headers, "range": "bytes=0-0"}
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                if not answer.is_success:
                    raise Refusal(answer.status_code, _said(answer))
                total = answer.headers.get("content-range", "").rpartition("/")[2]
                return int(total or answer.headers.get("content-length", "0"))
        except httpx.HTTPError as error:
            raise unreachable(self._name, error) from None

    def read(self, url: str, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The file from `start` on; ends after a part of it.

        Raises:
            Refusal: for the source to put into words.
            InterruptedTransferError: the connection was cut, stalled, or the server is unwell.
        """
        end = min(start + _PART_BYTES, file.size_bytes) - 1
        headers = {**self._headers, "range": f"bytes={start}-{end}"}
        try:
            with self._client.stream("GET", url, headers=headers) as answer:
                self._judge(answer)
                skip = 0 if answer.status_code == _PARTIAL else start
                # As it comes: what waits to fill a larger piece is lost with the connection.
                for chunk in answer.iter_raw():
                    # A server that knows no ranges sends what we have once more.
                    if skip >= len(chunk):
                        skip -= len(chunk)
                    else:
                        yield chunk[skip:]
                        skip = 0
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if isinstance(error.__context__, ssl.SSLError) or "CERTIFICATE" in str(error):
                raise unreachable(self._name, error) from None
            raise InterruptedTransferError(sentence(error)) from None
        except httpx.TransportError as error:
            raise InterruptedTransferError(sentence(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # redirects in a circle, or nowhere
            raise unreachable(self._name, error) from None

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        if answer.status_code in RETRYABLE:
            raise InterruptedTransferError(
                f"the server answers {answer.status_code}",
                wait_s=asked_s(answer.headers.get("retry-after")),
            )
        answer.read()
        raise Refusal(answer.status_code, _said(answer))


class Refusal(Exception):  # noqa: N818  # becomes a SourceError where the source is known
    """A server's no: its status, and what it says in one line."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status} {said}".strip())
        self.status = status
        self.said = said


@functools.cache
def trusted() -> ssl.SSLContext:
    """Whom to believe, SSL_CERT_FILE included; reading the bundle takes a tenth of a second.

    Raises:
        SourceError: the bundle cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise SourceError(
            f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({error.strerror or error}): name a "
            "bundle of certificates in PEM, or unset it",
            Cause.BROKEN,
        ) from None


def unreachable(name: str, error: Exception) -> SourceError:
    """Nobody answers, in a sentence that says where to look."""
    what = sentence(error) or type(error).__name__
    if "CERTIFICATE" in what.upper():
        remedy = "set SSL_CERT_FILE to a bundle with the authority that signed its certificate"
    elif isinstance(error, httpx.ProxyError):
        remedy = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    elif isinstance(error, httpx.TimeoutException):
        what = "no answer in time"
        remedy = "check the network, HTTPS_PROXY and NO_PROXY"
    else:
        remedy = "check the network, the endpoint, HTTPS_PROXY and NO_PROXY"
    return SourceError(f"{name} cannot be reached: {what}; {remedy}", Cause.UNREACHABLE)


def _said(answer: httpx.Response) -> str:
    """What the server says about its no, in one line without markup."""
    text = answer.headers.get("x-error-message", "")
    if not text and "json" in answer.headers.get("content-type", ""):
        try:
            body = answer.json()
        except (ValueError, httpx.StreamError):
            body = None
        if isinstance(body, dict):
            found = body.get("error") or body.get("message") or body.get("Message") or ""
            text = found if isinstance(found, str) else ""
    return redact(" ".join(text.split())[:200])
