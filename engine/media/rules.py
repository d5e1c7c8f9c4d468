"""What may be fetched, and how much of it one request may bring."""

from dataclasses import dataclass

from engine.media.address import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRules:
    """As the operator decided."""

    fetches: bool = True
    """Whether anything is fetched at all; data URLs are always taken."""

    hosts: tuple[str, ...] = ()
    """The only hosts to fetch from, `*.name` for all below one; none: every public one."""

    allows_http: bool = False
    """Whether URLs without TLS are fetched, too."""

    private_networks: tuple[Network, ...] = ()
    """Networks that are not public and may be fetched from all the same."""

    connect_timeout_s: float = 5.0
    """Longest time for one connection to be made, TLS included."""

    timeout_s: float = 20.0
    """Longest time for all media of a request to arrive."""

    item_bytes: int = 32 << 20
    """Largest file, as it is received."""

    request_bytes: int = 128 << 20
    """All files of a request together."""

    image_pixels: int = 64_000_000
    """Largest image, before it is decoded."""

    request_pixels: int = 256_000_000
    """All images of a request together."""

    audio_s: float = 600.0
    """Longest audio, each."""
