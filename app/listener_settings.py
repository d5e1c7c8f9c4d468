"""The settings for where and to whom the server listens; a part of `app.settings.Settings`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, field_validator, model_validator

from app.setting import by_commas, setting

_Words = Annotated[tuple[str, ...], BeforeValidator(by_commas)]


class ListenerSettings(BaseModel):
    """Addresses, encryption, and what browsers may do."""

    host: str = setting("0.0.0.0", "UNIGATE_HOST", description="Address to listen on.")  # noqa: S104
    port: int = setting(
        8000, "NIM_SERVER_PORT", "NIM_HTTP_API_PORT", ge=0, le=65535,
        description="Port to listen on; 0 takes a free one.",
    )  # fmt: skip
    sagemaker_mode: bool = setting(
        False, "NIM_SAGEMAKER_MODE",
        description="Serve SageMaker's `/ping` and `/invocations`, too, and on its port; on where "
        "SageMaker has set variables of its own.",
    )  # fmt: skip
    sagemaker_port: int = setting(
        8080, "SAGEMAKER_BIND_TO_PORT", ge=0, le=65535,
        description="Port of that mode, unless another is set; SageMaker says which, where "
        "several containers share a machine.",
    )  # fmt: skip
    max_connections: int = setting(
        8192, "UNIGATE_MAX_CONNECTIONS", gt=0,
        description="Most clients at a time; one more ends the connection that has been idle for "
        "longest, or is answered with 503.",
    )  # fmt: skip
    header_timeout_s: float = setting(
        20.0, "UNIGATE_HEADER_TIMEOUT_S", gt=0,
        description="Longest time for a request's headers to arrive, and for a TLS handshake.",
    )  # fmt: skip
    body_timeout_s: float = setting(
        60.0, "UNIGATE_BODY_TIMEOUT_S", gt=0,
        description="Longest time for a request's body to arrive; a second more for each 64 KiB.",
    )  # fmt: skip
    send_timeout_s: float = setting(
        60.0, "UNIGATE_SEND_TIMEOUT_S", gt=0,
        description="Longest time for which a client may take nothing of its answer.",
    )  # fmt: skip
    keep_alive_s: int = setting(
        75, "UNIGATE_KEEP_ALIVE_S", gt=0,
        description="How long a connection is kept for another request; longer than what is in "
        "front of the server keeps it.",
    )  # fmt: skip
    stream_comment_s: float = setting(
        15.0, "UNIGATE_STREAM_COMMENT_S", ge=0,
        description="Silence of a stream after which a comment is sent, so that nothing on the "
        "way takes it for dead; 0: never.",
    )  # fmt: skip
    health_port: int | None = setting(
        None, "NIM_HEALTH_PORT", ge=0, le=65535,
        description="Another port, never encrypted, that answers probes and nothing else.",
    )  # fmt: skip
    ssl_mode: Literal["DISABLED", "TLS", "MTLS"] = setting(
        "DISABLED", "NIM_SSL_MODE",
        description="`TLS` encrypts; `MTLS` asks clients for a certificate, too.",
    )  # fmt: skip
    ssl_key_path: Path | None = setting(
        None, "NIM_SSL_KEY_PATH", description="Private key of the server's certificate, PEM."
    )
    ssl_certs_path: Path | None = setting(
        None, "NIM_SSL_CERTS_PATH", "NIM_SSL_CERT_PATH",
        description="The server's certificate and those between it and its authority, PEM. Key "
        "and certificates are read again when the files change.",
    )  # fmt: skip
    ssl_ca_certs_path: Path | None = setting(
        None, "NIM_SSL_CA_CERTS_PATH",
        description="Authorities of the clients' certificates for `MTLS`, PEM.",
    )  # fmt: skip
    api_keys_path: Path | None = setting(
        None, "UNIGATE_API_KEYS_PATH",
        description="File with the keys that requests need; anybody may use the server without "
        "it. Read again when it changes.",
    )  # fmt: skip
    middleware_config_path: Path | None = setting(
        None, "NIM_MIDDLEWARE_CONFIG_PATH",
        description="File that names ASGI middleware of your own, YAML or JSON.",
    )  # fmt: skip
    cors_allow_origins: _Words = setting(
        ("*",), "NIM_CORS_ALLOW_ORIGINS",
        description="Origins whose pages may call the server from a browser, separated by commas; "
        "`*` is any.",
    )  # fmt: skip
    cors_allow_methods: _Words = setting(
        ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), "NIM_CORS_ALLOW_METHODS",
        description="Methods that such pages may use.",
    )  # fmt: skip
    cors_allow_headers: _Words = setting(
        ("*",), "NIM_CORS_ALLOW_HEADERS",
        description="Headers that such pages may send; OpenAI's own client sends a dozen.",
    )  # fmt: skip
    cors_expose_headers: _Words = setting(
        ("x-request-id", "request-id", "retry-after"), "NIM_CORS_EXPOSE_HEADERS",
        description="Headers of an answer that such pages may read.",
    )  # fmt: skip
    cors_max_age_s: int = setting(
        600, "NIM_CORS_MAX_AGE", ge=0, description="How long browsers remember all this."
    )
    cors_allow_credentials: bool = setting(
        False, "UNIGATE_CORS_ALLOW_CREDENTIALS",
        description="Such pages may send cookies and client certificates; needs origins by name.",
    )  # fmt: skip

    @field_validator("ssl_mode", mode="before")
    @classmethod
    def _mode_in_any_case(cls, value: object) -> object:
        return str(value).upper()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """A sentence names variables: none of these fields is wrong by itself."""
        if self.ssl_mode != "DISABLED" and not (self.ssl_key_path and self.ssl_certs_path):
            raise ValueError(
                f"NIM_SSL_MODE {self.ssl_mode} needs NIM_SSL_KEY_PATH and NIM_SSL_CERTS_PATH"
            )
        if self.ssl_mode == "MTLS" and not self.ssl_ca_certs_path:
            raise ValueError("NIM_SSL_MODE MTLS needs NIM_SSL_CA_CERTS_PATH")
        if self.cors_allow_credentials and "*" in self.cors_allow_origins:
            raise ValueError(
                "UNIGATE_CORS_ALLOW_CREDENTIALS needs NIM_CORS_ALLOW_ORIGINS to name the origins; "
                "`*` would let any page act for whoever has it open"
            )
        return self
