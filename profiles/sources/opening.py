"""The right protocol for a source; each one's library is imported only when it is needed."""

from urllib.parse import urlsplit

from profiles.access import Access
from profiles.errors import ModelReferenceError
from profiles.source import BucketModel, HubModel, ModelScopeModel, NgcModel, RemoteModel
from profiles.sources.remote import Listing, Remote


def open_remote(source: RemoteModel, access: Access, *, listing: Listing | None = None) -> Remote:
    """The source, ready to be asked; nothing is asked yet.

    With a `listing` that it gave before, it reads the files of that one.

    Raises:
        SourceError: its settings make no sense.
        ModelReferenceError: the hub's or the mirror's address is not understood.
    """
    # Whoever names a bucket means that bucket.
    if access.override and not isinstance(source, BucketModel):
        return _open_mirror(source, access.override, access, listing)
    match source:
        case HubModel():
            # Before the hub's library is imported, which fails over it in words of its own.
            if access.hub_endpoint and not _is_url(access.hub_endpoint):
                raise ModelReferenceError(
                    f"HF_ENDPOINT {_shown(access.hub_endpoint)!r} is not understood; write "
                    "https://host[:port]"
                )
            from profiles.sources.hub import HubRemote  # noqa: PLC0415

            return HubRemote(source, access, commit=listing.revision if listing else "")
        case NgcModel():
            from profiles.sources.ngc import NgcRemote  # noqa: PLC0415

            return NgcRemote(source, access)
        case ModelScopeModel():
            from profiles.sources.modelscope import ModelScopeRemote  # noqa: PLC0415

            return ModelScopeRemote(source, access)
        case BucketModel():
            from profiles.sources.object_store import BucketRemote  # noqa: PLC0415

            return BucketRemote(source, access)


def _open_mirror(
    source: RemoteModel, override: str, access: Access, listing: Listing | None
) -> Remote:
    scheme, separator, place = override.partition("://")
    if (
        not separator
        or not place.strip("/")
        or (scheme not in {"s3", "gs"} and not _is_url(override))
    ):
        raise ModelReferenceError(
            f"NIM_REPOSITORY_OVERRIDE {_shown(override)!r} is not understood; write "
            "https://host[:port]/, s3://bucket/, gs://bucket/ or jfrog://host[:port]/path"
        )
    from profiles.sources.mirror import BucketMirror, WebMirror  # noqa: PLC0415

    if scheme in {"s3", "gs"}:
        return BucketMirror(source, override, access)
    if scheme in {"https", "http"}:
        return WebMirror(source, override, access)
    # A proxy that speaks the source's own protocol.
    if scheme in {"jfrog", "ngc"} and isinstance(source, NgcModel):
        from profiles.sources.ngc import NgcRemote  # noqa: PLC0415

        return NgcRemote(source, access, proxy=_https(place))
    if scheme == "jfrog" and isinstance(source, HubModel):
        from profiles.sources.hub import HubRemote  # noqa: PLC0415

        commit = listing.revision if listing else ""
        return HubRemote(source, access, endpoint=_https(place), commit=commit)
    raise ModelReferenceError(
        f"NIM_REPOSITORY_OVERRIDE: {scheme}:// cannot stand in for {source.uri}"
    )


def _is_url(text: str) -> bool:
    """Whether it has a protocol, a host, and a port only if that is a number."""
    try:
        parts = urlsplit(text)
        return bool(parts.scheme and parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _shown(address: str) -> str:
    """The address without a password before its host."""
    scheme, separator, rest = address.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _https(place: str) -> str:
    # Loopback is where tests and port-forwards are, and has no certificate.
    is_local = place.startswith(("127.0.0.1", "localhost", "[::1]"))
    return f"{'http' if is_local else 'https'}://{place.rstrip('/')}"
