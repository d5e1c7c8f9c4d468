"""A Hugging Face hub in miniature: what asking, listing and fetching take."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.origin import Handler, Origin, running

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz012345"  # noqa: S105  # opens nothing
SIGNATURE = "X-Amz-Signature=5ecre75ecre7"


class Hub(Origin):
    """Serves one directory as `org/demo`; nothing else exists.

    `org/gated` wants a licence; `org/private` wants TOKEN; tokens may be expired or revoked.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(_Handler)
        self.directory = directory
        self.commit = COMMIT
        self.expired = False
        self.revoked = False
        # Large files come from another place, as from a CDN: by an address that is signed.
        self.large = "*.safetensors"
        self.cdn: str | None = None

    def files(self) -> dict[str, Path]:
        found = sorted(path for path in self.directory.rglob("*") if path.is_file())
        return {path.relative_to(self.directory).as_posix(): path for path in found}


class _Handler(Handler):
    server: Hub

    def answer(self, path: str, query: dict[str, str]) -> None:
        authorization = self.headers.get("authorization")
        if path.startswith("/cdn/"):
            name = path.removeprefix("/cdn/")
            data = (self.server.directory / name).read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self.send_file(name, data, x_repo_commit=self.server.commit, etag=etag)
        elif authorization and self.server.expired:
            self.send(401, x_error_message='User Access Token "mine" is expired')
        elif authorization and self.server.revoked:
            self.send(401, x_error_message="Invalid credentials in Authorization header")
        elif path.startswith("/org/gated/resolve/"):
            # Everybody sees what is in a gated repository, as on the real one.
            self.send(403 if authorization else 401, x_error_code="GatedRepo")
        elif "org/private" in path and authorization != f"Bearer {TOKEN}":
            self.send(401, x_error_code="RepoNotFound")
        else:
            self._repository(
                path.replace("org/private", "org/demo").replace("org/gated", "org/demo")
            )

    def _repository(self, path: str) -> None:
        if path.startswith("/api/models/org/demo/revision/") and path.endswith("/nowhere"):
            self.send(404, x_error_code="RevisionNotFound")
        elif path.startswith("/api/models/org/demo/tree/"):
            tree = [self._entry(name, file) for name, file in self.server.files().items()]
            self.send(200, json.dumps(tree).encode())
        elif path.startswith("/api/models/org/demo"):
            siblings = [{"rfilename": name} for name in self.server.files()]
            about = {"id": "org/demo", "sha": self.server.commit, "siblings": siblings}
            self.send(200, json.dumps(about).encode())
        elif path.startswith("/org/demo/resolve/"):
            self._resolve(path.split("/resolve/")[1].partition("/")[2])
        else:
            self.send(404, x_error_code="RepoNotFound")

    def _entry(self, name: str, file: Path) -> dict[str, object]:
        data = file.read_bytes()
        header = f"blob {len(data)}\0".encode()
        blob = hashlib.sha1(header + data, usedforsecurity=False).hexdigest()
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": blob}
        if file.match(self.server.large):
            oid = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 134}
        return entry

    def _resolve(self, name: str) -> None:
        file = self.server.files().get(name)
        if file is None:
            self.send(404, x_error_code="EntryNotFound")
        elif file.match(self.server.large):
            base = self.server.cdn or self.server.url
            linked = {
                "x_linked_etag": f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"',
                "x_linked_size": str(file.stat().st_size),
            }
            location = f"{base}/cdn/{name}?{SIGNATURE}"
            self.send(302, b"", location=location, x_repo_commit=self.server.commit, **linked)
        else:
            etag = f'"{self._entry(name, file)["oid"]}"'
            self.send_file(name, file.read_bytes(), x_repo_commit=self.server.commit, etag=etag)


@contextmanager
def hub(directory: Path) -> Iterator[Hub]:
    """A hub that runs while the block does."""
    with running(Hub(directory)) as server:
        yield server
