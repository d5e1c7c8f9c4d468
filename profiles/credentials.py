"""Whether the credentials for a source still open it: asked before a download, and while serving,
so that a key that expires is seen before the next restart needs it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from profiles.access import Access
from profiles.errors import Cause, ModelReferenceError, SourceError
from profiles.source import (
    BucketModel,
    HubModel,
    LocalModel,
    ModelScopeModel,
    ModelSource,
    NgcModel,
    RemoteModel,
)
from profiles.sources.opening import open_remote


class Status(StrEnum):
    """What the source says to the credentials."""

    OK = "ok"
    NONE = "none"  # none are set, and none are needed
    EXPIRED = "expired"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # nothing is known about them


_STATUSES = {
    Cause.MISSING: Status.REFUSED,  # sources do not tell strangers what is private
    Cause.GATED: Status.REFUSED,
    Cause.EXPIRED: Status.EXPIRED,
    Cause.REFUSED: Status.REFUSED,
    Cause.UNREACHABLE: Status.UNREACHABLE,
    Cause.BROKEN: Status.UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The state of a source's credentials, in a word and a sentence."""

    status: Status
    sentence: str
    expires_at: datetime | None = None


def check(source: ModelSource, access: Access) -> Credential:
    """Ask the source; takes a request or two, and never raises."""
    if isinstance(source, LocalModel):
        return Credential(status=Status.NONE, sentence=f"{source.uri} needs no credentials")
    expires_at = _expiry(source, access)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        return Credential(
            status=Status.EXPIRED,
            sentence=f"the credentials for {source.uri} have expired at {expires_at:%FT%TZ}",
            expires_at=expires_at,
        )
    try:
        remote = open_remote(source, access)
        try:
            remote.check()
        finally:
            remote.close()
    except SourceError as error:
        return Credential(status=_STATUSES[error.cause], sentence=str(error), expires_at=expires_at)
    except ModelReferenceError as error:
        return Credential(status=Status.UNREACHABLE, sentence=str(error))
    if not _are_set(source, access):
        return Credential(
            status=Status.NONE, sentence=f"{source.uri} is open, and no credentials are set for it"
        )
    return Credential(
        status=Status.OK,
        sentence=f"the credentials for {source.uri} are accepted",
        expires_at=expires_at,
    )


def _are_set(source: RemoteModel, access: Access) -> bool:
    match source:
        case HubModel():
            return access.hub_token is not None
        case NgcModel():
            return access.ngc_key is not None
        case ModelScopeModel():
            return access.modelscope_token is not None
        case BucketModel():
            # Without any that are set, a role of the machine or the pod has been accepted.
            skipped = access.environment.get(
                "GOOGLE_SKIP_SIGNATURE" if source.scheme == "gs" else "AWS_SKIP_SIGNATURE", ""
            )
            return skipped.lower() not in {"1", "true", "yes"}


def _expiry(source: RemoteModel, access: Access) -> datetime | None:
    """When AWS's temporary keys end, if whoever exported them has said it."""
    said = access.environment.get("AWS_CREDENTIAL_EXPIRATION")
    if not said or not isinstance(source, BucketModel) or source.scheme != "s3":
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
