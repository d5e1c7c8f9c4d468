"""NVIDIA's registry, ModelScope and a web mirror in miniature, after their public protocols."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.origin import Handler, Origin, running

LEGACY_KEY = "bGVnYWN5a2V5Zm9ydGVzdHM"
PERSONAL_KEY = "nvapi-personalkeyfortests"
_TOKEN = "boughttoken5ecre7"  # noqa: S105  # opens nothing
MODELSCOPE_TOKEN = "ms-5ecre7"  # noqa: S105


def _files(directory: Path) -> dict[str, bytes]:
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


class Ngc(Origin):
    """`nim/meta/demo:1` for those with a key, `nvidia/tao/open:1` for all."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_NgcHandler)
        self.directory = directory
        self.expired = False
        self.page = 2


class _NgcHandler(Handler):
    server: Ngc

    def answer(self, path: str, query: dict[str, str]) -> None:
        authorization = self.headers.get("authorization", "")
        if path == "/token":
            self._sell(authorization)
        elif path.startswith("/signed/"):
            self._give(path.removeprefix("/signed/"))
        elif path.startswith("/v2/models/org/nvidia/team/tao/open/1/files"):
            self._catalogue(query)
        elif authorization not in {f"Bearer {_TOKEN}", f"Bearer {PERSONAL_KEY}"}:
            self.send(401, b'{"requestStatus": {"statusCode": "UNAUTHORIZED"}}')
        else:
            self._organisation(path, query)

    def _sell(self, authorization: str) -> None:
        basic = base64.b64encode(f"$oauthtoken:{LEGACY_KEY}".encode()).decode()
        if self.server.expired:
            self.send(401, b'{"error": "API key expired"}')
        elif authorization != f"Basic {basic}":
            self.send(401, b'{"error": "invalid_client"}')
        else:
            self.send(200, json.dumps({"token": _TOKEN, "expires_in": 600}).encode())

    def _organisation(self, path: str, query: dict[str, str]) -> None:
        place = "/v2/org/nim/team/meta/models/demo/versions/1/files"
        if path == place:
            self._rows(int(query["page-number"]))
        elif path.startswith(place + "/"):
            # Files are elsewhere, at an address that is signed.
            name = path.removeprefix(place + "/")
            self.send(302, b"", location=f"/signed/{name}?X-Amz-Signature=5ecre75ecre7")
        else:
            self.send(404, b'{"requestStatus": {"statusCode": "NOT_FOUND"}}')

    def _rows(self, number: int) -> None:
        entries = [
            {"path": name, "sizeInBytes": len(data), "sha256_base64": _sum(data)}
            for name, data in _files(self.server.directory).items()
        ]
        size = self.server.page
        pages = -(-len(entries) // size)
        rows = entries[number * size : (number + 1) * size]
        answer = {"modelFiles": rows, "paginationInfo": {"totalPages": pages, "index": number}}
        self.send(200, json.dumps(answer).encode())

    def _catalogue(self, query: dict[str, str]) -> None:
        if "path" in query:
            self._give(query["path"])
            return
        files = _files(self.server.directory)
        columns = {"filepath": [*files], "sha256_base64": [_sum(data) for data in files.values()]}
        self.send(200, json.dumps(columns).encode())

    def _give(self, name: str) -> None:
        self.send_file(name, _files(self.server.directory)[name])


def _sum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class ModelScope(Origin):
    """`org/demo` for all, `org/private` for those with the token."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_ModelScopeHandler)
        self.directory = directory


class _ModelScopeHandler(Handler):
    server: ModelScope

    def answer(self, path: str, query: dict[str, str]) -> None:
        is_known = f"m_session_id={MODELSCOPE_TOKEN}" in self.headers.get("cookie", "")
        if path.startswith("/api/v1/models/org/private/") and not is_known:
            # The true status is inside.
            self.send(200, b'{"Code": 403, "Message": "no permission", "Success": false}')
            return
        files = _files(self.server.directory)
        path = path.replace("org/private", "org/demo")
        if query.get("Revision") not in {"master", "v1"}:
            self.send(404, b'{"Code": 10010205001, "Message": "not found", "Success": false}')
        elif path == "/api/v1/models/org/demo/repo/files":
            entries: list[dict[str, object]] = [{"Path": "folder", "Type": "tree", "Size": 0}]
            for name, data in files.items():
                checksum = hashlib.sha256(data).hexdigest()
                entry = {"Path": name, "Type": "blob", "Size": len(data), "Sha256": checksum}
                entries.append(entry)
            answer = {"Code": 200, "Data": {"Files": entries}, "Success": True}
            self.send(200, json.dumps(answer).encode())
        elif path == "/api/v1/models/org/demo/repo" and query.get("FilePath") in files:
            self.send_file(query["FilePath"], files[query["FilePath"]])
        else:
            self.send(404, b'{"Code": 404, "Message": "not found", "Success": false}')


class Web(Origin):
    """A plain web server; may want a credential."""

    def __init__(self) -> None:
        super().__init__(_WebHandler)
        self.files: dict[str, bytes] = {}
        self.credential: str | None = None


class _WebHandler(Handler):
    server: Web

    def answer(self, path: str, query: dict[str, str]) -> None:
        if self.server.credential not in {None, self.headers.get("authorization")}:
            self.send(401)
        elif (data := self.server.files.get(self.path.removeprefix("/"))) is not None:
            self.send_file(path, data)
        else:
            self.send(404)


@contextmanager
def ngc(directory: Path) -> Iterator[Ngc]:
    with running(Ngc(directory)) as server:
        yield server


@contextmanager
def modelscope(directory: Path) -> Iterator[ModelScope]:
    with running(ModelScope(directory)) as server:
        yield server


@contextmanager
def web() -> Iterator[Web]:
    with running(Web()) as server:
        yield server
