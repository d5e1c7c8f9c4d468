"""What opens the sources: endpoints, credentials and the mirror that stands in for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

_SECRET_NAMES = (
    "HF_TOKEN", "NGC_API_KEY", "NGC_CLI_API_KEY", "MODELSCOPE_API_TOKEN", "NIM_HTTPS_CREDENTIAL",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How sources are reached. Its secrets stay out of its representation and of every message."""

    hub_endpoint: str | None = None
    hub_token: str | None = field(default=None, repr=False)
    ngc_endpoint: str = "https://api.ngc.nvidia.com"
    ngc_auth_endpoint: str = "https://authn.nvidia.com"
    ngc_key: str | None = field(default=None, repr=False)
    modelscope_endpoint: str = "https://www.modelscope.cn"
    modelscope_token: str | None = field(default=None, repr=False)
    override: str | None = None
    https_credential: str | None = field(default=None, repr=False)
    # AWS_*, GOOGLE_*, proxies and CA bundle, for the object stores' client.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    # The longest silence of a server: while connecting, and between two pieces of an answer.
    timeout_s: float = 30.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """What the variables of the environment say; empty ones count as not set."""
        said = {name: value for name, value in environment.items() if value.strip()}
        return cls(
            hub_endpoint=said.get("HF_ENDPOINT"),
            hub_token=said.get("HF_TOKEN"),
            ngc_endpoint=_url(said.get("NGC_API_ENDPOINT", "api.ngc.nvidia.com")),
            ngc_auth_endpoint=_url(said.get("NGC_AUTH_ENDPOINT", "authn.nvidia.com")),
            ngc_key=said.get("NGC_CLI_API_KEY") or said.get("NGC_API_KEY"),
            modelscope_endpoint=_url(said.get("MODELSCOPE_DOMAIN", "www.modelscope.cn")),
            modelscope_token=said.get("MODELSCOPE_API_TOKEN"),
            override=said.get("NIM_REPOSITORY_OVERRIDE"),
            https_credential=said.get("NIM_HTTPS_CREDENTIAL"),
            environment=said,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in here, longest first, so that messages can be searched for them."""
        named = [self.environment.get(name) for name in _SECRET_NAMES]
        own = [self.hub_token, self.ngc_key, self.modelscope_token, self.https_credential]
        return tuple(sorted({secret for secret in (*named, *own) if secret}, key=len, reverse=True))


def _url(text: str) -> str:
    """A host as it is set for the NGC client, or a whole URL, as a URL."""
    return (text if "://" in text else f"https://{text}").rstrip("/")
