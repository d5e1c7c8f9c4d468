"""Models of NVIDIA's registry, over its public HTTP API.

Listing and files by organisation need a key (`/v2/org/…`); the catalogue's public part and
Artifactory's proxy of it (`/v2/models/org/…`, JFrog's "NIM Repository Layout") need none of NGC's.
"""

import base64
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import NgcModel
from profiles.sources.http import HttpClient, Refusal
from profiles.sources.remote import Listing, RemoteFile
from profiles.sources.selection import choose

_PAGE = 1000
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_PERSONAL = "nvapi-"


class NgcRemote:
    """One version of one model."""

    def __init__(self, source: NgcModel, access: Access, *, proxy: str | None = None) -> None:
        self._source = source
        self._access = access
        self._name = source.uri.partition("?")[0]
        self._base = (proxy or access.ngc_endpoint).rstrip("/")
        self._by_organisation = access.ngc_key is not None and proxy is None
        self._client: HttpClient | None = None

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()

    def check(self) -> None:
        """Whether the version may be had: its first page of files says it."""
        self._page(0, size=1)

    def listing(self) -> Listing:
        """All files of the version."""
        files: list[RemoteFile] = []
        page, pages = 0, 1
        while page < pages:
            answer = self._page(page, size=_PAGE)
            files += [self._file(entry) for entry in _entries(answer)]
            pages = int((answer.get("paginationInfo") or {}).get("totalPages") or 1)
            page += 1
        return Listing(revision=self._source.version, files=choose(self._source, files))

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """Follows the registry's redirect anew each time: signed addresses expire."""
        try:
            yield from self._connected().read(self._address(file.path), file, start)
        except Refusal as refusal:
            raise self._refused(refusal) from None

    def _page(self, number: int, *, size: int) -> dict[str, Any]:
        url = f"{self._place()}/files"
        try:
            answer = self._connected().json(url, params={"page-number": number, "page-size": size})
        except Refusal as refusal:
            raise self._refused(refusal) from None
        if not isinstance(answer, dict):
            raise SourceError(f"{self._name}: the registry's answer is no listing", Cause.BROKEN)
        return answer

    def _file(self, entry: dict[str, Any]) -> RemoteFile:
        path = str(entry.get("path") or "")
        size = entry.get("sizeInBytes")
        if size is None:
            try:
                size = self._connected().size(self._address(path))
            except Refusal as refusal:
                raise self._refused(refusal) from None
        return RemoteFile(path=path, size_bytes=int(size), sha256=_sha256(entry))

    def _place(self) -> str:
        source = self._source
        team = f"/team/{source.team}" if source.team else ""
        if self._by_organisation:
            return (
                f"{self._base}/v2/org/{source.org}{team}/models/{source.model}"
                f"/versions/{source.version}"
            )
        return f"{self._base}/v2/models/org/{source.org}{team}/{source.model}/{source.version}"

    def _address(self, path: str) -> str:
        if self._by_organisation:
            return f"{self._place()}/files/{quote(path)}"
        return f"{self._place()}/files?redirect=true&path={quote(path, safe='')}"

    def _connected(self) -> HttpClient:
        if self._client is None:
            key = self._access.ngc_key
            headers = {}
            if key is not None:
                token = key if not self._by_organisation else self._token(key)
                headers["authorization"] = f"Bearer {token}"
            self._client = HttpClient(
                headers=headers, timeout_s=self._access.timeout_s, name=self._name
            )
        return self._client

    def _token(self, key: str) -> str:
        """Personal keys are their own token; legacy ones buy one, for this organisation."""
        if key.startswith(_PERSONAL):
            return key
        scope = [f"group/ngc:{self._source.org}"]
        if self._source.team:
            scope.append(f"group/ngc:{self._source.org}/{self._source.team}")
        basic = base64.b64encode(f"$oauthtoken:{key}".encode()).decode()
        client = HttpClient(timeout_s=self._access.timeout_s, name=self._name)
        try:
            answer = client.json(
                f"{self._access.ngc_auth_endpoint}/token",
                params={"service": "ngc", "scope": scope},
                authorization=f"Basic {basic}",
            )
        except Refusal as refusal:
            raise self._refused(refusal) from None
        finally:
            client.close()
        return str(answer.get("token", "")) if isinstance(answer, dict) else ""

    def _refused(self, refusal: Refusal) -> SourceError:
        has_key = self._access.ngc_key is not None
        if refusal.status == _UNAUTHORIZED and "expired" in refusal.said.lower():
            return SourceError(
                f"{self._name}: the key in NGC_API_KEY has expired: create a new one in NGC's "
                "setup, and set it",
                Cause.EXPIRED,
            )
        if refusal.status in {_UNAUTHORIZED, _FORBIDDEN}:
            remedy = (
                "the key in NGC_API_KEY (or NGC_CLI_API_KEY) is wrong, revoked, or its account has "
                "no access: accept the model's licence in the NGC catalogue with it"
                if has_key
                else "set NGC_API_KEY"
            )
            return SourceError(
                f"{self._name}: the registry refuses ({refusal.status}): {remedy}", Cause.REFUSED
            )
        if refusal.status == _NOT_FOUND:
            return SourceError(
                f"{self._name} does not exist, or this account cannot see it: check the name and "
                "version" + ("" if has_key else ", or set NGC_API_KEY"),
                Cause.MISSING,
            )
        return SourceError(
            f"{self._name}: the registry answers {refusal}; try again later", Cause.UNREACHABLE
        )


def _entries(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of a listing; the catalogue's public one is columns in place of rows."""
    rows = answer.get("modelFiles")
    if isinstance(rows, list):
        return [row for row in rows if isinstance(row, dict)]
    paths = answer.get("filepath") or []
    sums = answer.get("sha256_base64") or [None] * len(paths)
    return [
        {"path": path, "sha256_base64": checksum}
        for path, checksum in zip(paths, sums, strict=False)
    ]


def _sha256(entry: dict[str, Any]) -> str | None:
    if plain := entry.get("sha256"):
        return str(plain).lower()
    if encoded := entry.get("sha256_base64"):
        return base64.b64decode(str(encoded)).hex()
    return None
