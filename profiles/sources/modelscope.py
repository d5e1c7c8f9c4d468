"""Models of ModelScope, over its HTTP API (its Python client would bring half of PyPI along)."""

import hashlib
from collections.abc import Generator
from typing import Any

import httpx

from profiles.access import Access
from profiles.errors import Cause, SourceError
from profiles.source import ModelScopeModel
from profiles.sources.http import HttpClient, Refusal
from profiles.sources.remote import Listing, RemoteFile
from profiles.sources.selection import choose

_DEFAULT_REVISION = "master"
_OK = 200
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404


class ModelScopeRemote:
    """One repository of ModelScope."""

    def __init__(self, source: ModelScopeModel, access: Access) -> None:
        self._source = source
        self._revision = source.revision or _DEFAULT_REVISION
        self._name = f"modelscope://{source.repository}"
        self._place = f"{access.modelscope_endpoint}/api/v1/models/{source.repository}/repo"
        token = access.modelscope_token
        self._has_token = token is not None
        headers = {}
        if token is not None:
            # Newer routes take a bearer, those for files the cookie that its client sets.
            headers = {"authorization": f"Bearer {token}", "cookie": f"m_session_id={token}"}
        self._client = HttpClient(headers=headers, timeout_s=access.timeout_s, name=self._name)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def check(self) -> None:
        """Whether the repository may be had: listing it is one request."""
        self._entries()

    def listing(self) -> Listing:
        """The files of the revision as it is now; their content names what is a branch."""
        files = [
            RemoteFile(
                path=str(entry["Path"]),
                size_bytes=int(entry["Size"]),
                sha256=str(entry["Sha256"]).lower() if entry.get("Sha256") else None,
            )
            for entry in self._entries()
            if entry.get("Type") == "blob"
        ]
        chosen = choose(self._source, files)
        content = "\n".join(f"{file.path} {file.size_bytes} {file.checksum}" for file in chosen)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        return Listing(
            revision=self._source.fixed_revision or f"{self._revision}-{digest}", files=chosen
        )

    def read(self, file: RemoteFile, start: int) -> Generator[bytes, None, None]:
        """The file from `start` on."""
        query = httpx.QueryParams({"Revision": self._revision, "FilePath": file.path})
        try:
            yield from self._client.read(f"{self._place}?{query}", file, start)
        except Refusal as refusal:
            raise self._refused(refusal.status, refusal.said) from None

    def _entries(self) -> list[dict[str, Any]]:
        params = {"Revision": self._revision, "Recursive": "true"}
        try:
            answer = self._client.json(f"{self._place}/files", params=params)
        except Refusal as refusal:
            raise self._refused(refusal.status, refusal.said) from None
        # It answers 200 with the true status inside, too.
        code = answer.get("Code") if isinstance(answer, dict) else None
        if code != _OK:
            said = str(answer.get("Message", "")) if isinstance(answer, dict) else ""
            raise self._refused(_FORBIDDEN if code == _FORBIDDEN else _NOT_FOUND, said)
        entries = (answer.get("Data") or {}).get("Files") or []
        return [entry for entry in entries if isinstance(entry, dict)]

    def _refused(self, status: int, said: str) -> SourceError:
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            remedy = (
                "the token in MODELSCOPE_API_TOKEN is wrong, has expired, or may not read it"
                if self._has_token
                else "set MODELSCOPE_API_TOKEN"
            )
            cause = Cause.EXPIRED if "expired" in said.lower() else Cause.REFUSED
            return SourceError(f"{self._name}: ModelScope refuses ({status}): {remedy}", cause)
        if status == _NOT_FOUND:
            return SourceError(
                f"{self._name} does not exist at revision {self._revision!r}, or is private: "
                "check the name, or set MODELSCOPE_API_TOKEN",
                Cause.MISSING,
            )
        return SourceError(
            f"{self._name}: ModelScope answers {status}; try again later", Cause.UNREACHABLE
        )
