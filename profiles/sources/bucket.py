"""A connection to a bucket of S3 or Google Cloud Storage, through obstore."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.redaction import sentence
from profiles.sources.aws_profile import from_profile
from profiles.sources.remote import InterruptedTransferError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSConfig, RetryConfig, S3Config

Bucket = S3Store | GCSStore

_FALSE = {"0", "false", "no", "off"}
# Where a machine's own role gives its credentials: never behind a proxy.
_DIRECT = "169.254.169.254,169.254.170.2,metadata.google.internal"
# Words in S3's and GCS's error documents.
_EXPIRED = ("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "invalid_grant")
_REFUSED = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken",
    "401 Unauthorized", "403 Forbidden",
)  # fmt: skip
_PATH = re.compile(r"(https?://[^/\s]+)[^\s,]*")
_MISSING = ("NoSuchBucket", "NoSuchKey", "404 Not Found")
_NO_CREDENTIALS = ("169.254.169.254", "metadata", "credential", "Credential")


def connect(scheme: str, bucket: str, access: Access) -> Bucket:
    """The bucket; nothing is asked yet.

    Raises:
        SourceError: the settings for it make no sense.
    """
    said = access.environment
    # obstore reads variables by itself, but only those it knows, and not of the mapping given here.
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=access.timeout_s)}
    try:
        if scheme == "gs":
            return _google(bucket, said, access, retry)
        return _amazon(bucket, said, access, retry)
    except (BaseError, ValueError, OSError) as error:
        what = sentence(error, access.secrets)
        raise SourceError(
            f"{scheme}://{bucket}: its settings are not understood: {what}", Cause.BROKEN
        ) from None


def _amazon(bucket: str, said: Mapping[str, str], access: Access, retry: "RetryConfig") -> S3Store:
    config: dict[str, Any] = {
        "access_key_id": said.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": said.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": said.get("AWS_SESSION_TOKEN"),
        "region": said.get("AWS_REGION") or said.get("AWS_DEFAULT_REGION"),
        "endpoint": said.get("AWS_ENDPOINT_URL_S3") or said.get("AWS_ENDPOINT_URL"),
        "skip_signature": said.get("AWS_SKIP_SIGNATURE"),
    }
    config = from_profile(said) | {name: value for name, value in config.items() if value}
    # Path style is what works everywhere, MinIO and AWS itself included; the other is asked for.
    is_virtual = said.get("AWS_S3_USE_PATH_STYLE", "").lower() in _FALSE
    if (endpoint := config.get("endpoint")) and is_virtual:
        # obstore wants the bucket in a virtual host's endpoint.
        protocol, _, host = endpoint.rstrip("/").partition("://")
        config["endpoint"] = f"{protocol}://{bucket}.{host}"
    config.setdefault("region", "us-east-1")
    return S3Store(
        bucket,
        config=cast("S3Config", {**config, "virtual_hosted_style_request": is_virtual}),
        client_options=_client(access, config.get("endpoint")),
        retry_config=retry,
    )


def _google(bucket: str, said: Mapping[str, str], access: Access, retry: "RetryConfig") -> GCSStore:
    config: dict[str, Any] = {
        "application_credentials": said.get("GOOGLE_APPLICATION_CREDENTIALS"),
        "service_account_key": said.get("GOOGLE_SERVICE_ACCOUNT_KEY"),
        "bearer_token": said.get("GOOGLE_BEARER_TOKEN"),
        "base_url": said.get("GOOGLE_BASE_URL"),
        "skip_signature": said.get("GOOGLE_SKIP_SIGNATURE"),
    }
    if emulator := said.get("STORAGE_EMULATOR_HOST"):  # Google's own variable for emulators
        config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
        config["skip_signature"] = "true"
    return GCSStore(
        bucket,
        config=cast("GCSConfig", {name: value for name, value in config.items() if value}),
        client_options=_client(access, config.get("base_url")),
        retry_config=retry,
    )


def _client(access: Access, endpoint: str | None) -> "ClientConfig":
    said = access.environment
    options: ClientConfig = {
        # Whether to use TLS is the endpoint's word: MinIO beside the server often has none.
        "allow_http": True,
        # obstore's default ends any request after 30 s, however well it goes.
        "timeout": "12h",
        "read_timeout": timedelta(seconds=access.timeout_s),
        "connect_timeout": timedelta(seconds=min(access.timeout_s, 10.0)),
        "user_agent": "unigate",
    }
    protocol = "HTTP" if (endpoint or "").startswith("http:") else "HTTPS"
    if proxy := _either(said, f"{protocol}_PROXY"):
        options["proxy_url"] = proxy
        options["proxy_excludes"] = ",".join(filter(None, (_either(said, "NO_PROXY"), _DIRECT)))
    if bundle := said.get("SSL_CERT_FILE"):
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            raise SourceError(f"SSL_CERT_FILE cannot be read: {error}", Cause.BROKEN) from None
    return options


def _either(said: Mapping[str, str], name: str) -> str | None:
    """Such variables are written in both cases; curl and its kin prefer the small one."""
    return said.get(name.lower()) or said.get(name)


@contextmanager
def named(uri: str, access: Access, *, while_reading: bool = False) -> Iterator[None]:
    """Turns obstore's errors into ours; what may pass by itself is an interruption while reading.

    Raises:
        SourceError: the store refuses, or is not there.
        InterruptedTransferError: the bytes stopped coming.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        # The text is only looked into: S3 answers with documents that hold the key's id.
        # Of what was asked for the host is enough: a path may have any word in it.
        text = _PATH.sub(r"\1", str(error))
        refusal = _refused(uri, error, text)
        if refusal is not None:
            raise refusal from None
        what = sentence(RuntimeError(text.partition("<")[0]), access.secrets)
        if while_reading:
            raise InterruptedTransferError(what) from None
        raise SourceError(
            f"{uri} cannot be reached: {what}; check the network, AWS_ENDPOINT_URL, HTTPS_PROXY, "
            "SSL_CERT_FILE",
            Cause.UNREACHABLE,
        ) from None


def _refused(uri: str, error: Exception, text: str) -> SourceError | None:
    """The store's no, as far as it is one."""
    keys = (
        "GOOGLE_APPLICATION_CREDENTIALS"
        if uri.startswith("gs://")
        else "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION"
    )
    if any(word in text for word in _EXPIRED):
        return SourceError(
            f"{uri}: the credentials have expired: set new ones ({keys})", Cause.EXPIRED
        )
    if isinstance(error, FileNotFoundError) or any(word in text for word in _MISSING):
        return SourceError(f"{uri} does not exist: check bucket and prefix", Cause.MISSING)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or any(
        word in text for word in _REFUSED
    ):
        return SourceError(
            f"{uri}: the store refuses the credentials: check {keys}, and that they may list and "
            "read the bucket",
            Cause.REFUSED,
        )
    if any(word in text for word in _NO_CREDENTIALS):
        return SourceError(
            f"{uri}: there are no credentials: set {keys}"
            + ("" if uri.startswith("gs://") else ", or AWS_SKIP_SIGNATURE=true if it is public"),
            Cause.REFUSED,
        )
    return None
