"""Models of a Hugging Face hub: its own client asks and lists, the bytes come by HTTP ranges."""

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, constants, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo, RepoFile

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.redaction import sentence
from profiles.source import HubModel
from profiles.sources.http import HttpClient, Refusal
from profiles.sources.remote import Listing, RemoteFile
from profiles.sources.retry import patiently
from profiles.sources.selection import choose

_T = TypeVar("_T")
_UNAUTHORIZED = 401
_FORBIDDEN = 403


class HubRemote:
    """One repository of a hub."""

    def __init__(
        self, source: HubModel, access: Access, *, endpoint: str | None = None, commit: str = ""
    ) -> None:
        """`commit` is the one to read from, where `listing` is not asked first."""
        self._source = source
        self._access = access
        self._endpoint = endpoint or access.hub_endpoint
        # With telemetry it asks huggingface.co, whatever the endpoint is, for a list of agents
        # (huggingface_hub 2.4.0, utils/_detect_agent.py): behind a firewall that is a long wait.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        token = access.hub_token or _logged_in()
        # False, or the client would look for one by itself.
        self._api = HfApi(endpoint=self._endpoint, token=token or False)
        self._client = HttpClient(
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout_s=access.timeout_s,
            name=f"hf://{source.repository}",
        )
        self._commit = commit

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def check(self) -> None:
        """Whether the repository may be had."""
        info = self._named(self._info)
        with suppress(RemoteEntryNotFoundError):
            self._named(lambda: self._touch("config.json", str(info.sha)))

    def listing(self) -> Listing:
        """The files of the commit that the revision means now."""
        return self._named(self._listed)

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """Follows the hub's redirect anew each time: signed addresses expire."""
        url = hf_hub_url(
            self._source.repository, file.path, revision=self._commit, endpoint=self._endpoint
        )
        try:
            yield from self._client.read(url, file, start)
        except Refusal as refusal:
            raise SourceError(
                f"hf://{self._source.repository}: the hub refuses {file.path}: {refusal}; "
                "check HF_TOKEN and the licence of the model",
                Cause.REFUSED,
            ) from None

    def _info(self) -> ModelInfo:
        return self._api.model_info(
            self._source.repository,
            revision=self._source.revision,
            timeout=self._access.timeout_s,
        )

    def _listed(self) -> Listing:
        self._commit = str(self._info().sha)
        tree = self._api.list_repo_tree(
            self._source.repository, recursive=True, revision=self._commit
        )
        files = chosen_files(self._source, tree)
        self._touch(files[0].path, self._commit)
        return Listing(revision=self._commit, files=files)

    def _touch(self, path: str, commit: str) -> None:
        """Ask for a file's head: of a gated model everybody may see the listing, but no file."""
        url = hf_hub_url(self._source.repository, path, revision=commit, endpoint=self._endpoint)
        self._api.get_hf_file_metadata(url=url, timeout=self._access.timeout_s)

    def _named(self, call: Callable[[], _T]) -> _T:
        try:
            return patiently(call)
        except HFValidationError as error:
            raise SourceError(
                f"hf://{self._source.repository} is not a name a hub can have: {sentence(error)}",
                Cause.MISSING,
            ) from None
        except RemoteEntryNotFoundError:
            raise
        except HfHubHTTPError as error:
            raise self._refused(error) from None
        except (OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
            what = sentence(error, self._access.secrets)
            raise SourceError(
                f"hf://{self._source.repository} cannot be reached: {what}; {_remedy(what)}",
                Cause.UNREACHABLE,
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, ImportError):
            # A portal's page in HTML, a proxy of another kind.
            raise SourceError(
                f"hf://{self._source.repository}: {self._api.endpoint} does not answer as a hub "
                "does: check HF_ENDPOINT, HTTPS_PROXY",
                Cause.BROKEN,
            ) from None

    def _refused(self, error: HfHubHTTPError) -> SourceError:
        """Why the hub does not give the model."""
        name = f"hf://{self._source.repository}"
        status = error.response.status_code
        said = " ".join((error.server_message or "").split())
        match error:
            case _ if status == _UNAUTHORIZED and "expired" in said.lower():
                return SourceError(
                    f"{name}: the token in HF_TOKEN has expired: create a new one in the hub's "
                    "settings, and set it",
                    Cause.EXPIRED,
                )
            case GatedRepoError():
                return SourceError(
                    f"{name} is gated: accept its licence on the hub, and set HF_TOKEN to a token "
                    "of that account",
                    Cause.GATED,
                )
            case RevisionNotFoundError():
                return SourceError(
                    f"{name} has no revision {self._source.revision!r}", Cause.MISSING
                )
            case RepositoryNotFoundError() if not self._is_bad_token(said, status):
                return SourceError(
                    f"{name} does not exist, or is private: check the name, or set HF_TOKEN",
                    Cause.MISSING,
                )
            case _ if status in {_UNAUTHORIZED, _FORBIDDEN}:
                return SourceError(
                    f"{name}: the hub refuses the token in HF_TOKEN ({status}): it is wrong, "
                    "revoked, or may not read this repository",
                    Cause.REFUSED,
                )
            case _:
                what = sentence(error, self._access.secrets)
                return SourceError(f"{name}: the hub refuses: {what}", Cause.UNREACHABLE)

    def _is_bad_token(self, said: str, status: int) -> bool:
        return status == _UNAUTHORIZED and "invalid" in said.lower()


def _logged_in() -> str | None:
    """The token of an earlier `hf auth login`, as the hub's client finds it."""
    try:
        return get_token()
    except (OSError, UnicodeDecodeError):  # the home of another user, as in many containers
        return None


def chosen_files(source: HubModel, tree: Iterable[object]) -> tuple[RemoteFile, ...]:
    """The files to fetch of a repository's tree as the hub's client gives it."""
    return choose(source, [_file(entry) for entry in tree if isinstance(entry, RepoFile)])


def _file(entry: RepoFile) -> RemoteFile:
    # The hub knows the SHA-256 of large files; of the others git's blob id, which is a SHA-1.
    if entry.lfs is not None:
        return RemoteFile(path=entry.path, size_bytes=entry.lfs.size, sha256=entry.lfs.sha256)
    known = len(entry.blob_id or "") == len("da39a3ee5e6b4b0d3255bfef95601890afd80709")
    return RemoteFile(
        path=entry.path, size_bytes=entry.size, git_sha1=entry.blob_id if known else None
    )


def _remedy(what: str) -> str:
    if "CERTIFICATE" in what.upper():
        return "set SSL_CERT_FILE to a bundle with the authority that signed its certificate"
    return "check the network, HF_ENDPOINT, HTTPS_PROXY"
