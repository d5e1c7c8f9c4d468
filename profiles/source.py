"""Where a model comes from: parses what the user wrote, touches neither disk nor network."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, quote

from profiles.errors import ModelReferenceError

_FORMS = {
    "hf": "hf://organisation/model[:revision][?file=name]",
    "ngc": "ngc://organisation/[team/]model:version[?file=name]",
    "modelscope": "modelscope://organisation/model[:revision][?file=name]",
    "s3": "s3://bucket[/prefix][?file=name]",
    "gs": "gs://bucket[/prefix][?file=name]",
}
_REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?::(?P<revision>[\w.+/-]+))?")
_NGC = re.compile(
    r"(?P<org>[\w.-]+)/(?:(?P<team>[\w.-]+)/)?(?P<model>[\w.-]+):(?P<version>[\w.+-]+)"
)
_BUCKET = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9._-]*)(?:/(?P<prefix>[^?]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A directory on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise: never the path."""
        return self.path.name

    @property
    def uri(self) -> str:
        """The source as the user would write it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository of a hub, at a branch, a tag or a commit."""

    scheme: ClassVar[str]
    repository: str
    revision: str | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise."""
        return self.repository

    @property
    def uri(self) -> str:
        """The source as the user would write it."""
        return f"{self.scheme}://{self.repository}{_suffix(self.revision, self.files)}"

    @property
    def fixed_revision(self) -> str | None:
        """The revision, if it can never mean other files: a commit."""
        return self.revision if self.revision and _COMMIT.fullmatch(self.revision) else None


class HubModel(_Repository):
    """A repository of a Hugging Face hub."""

    scheme = "hf"


class ModelScopeModel(_Repository):
    """A repository of ModelScope."""

    scheme = "modelscope"


@dataclass(frozen=True, slots=True)
class NgcModel:
    """A version of a model in NVIDIA's registry."""

    org: str
    team: str | None
    model: str
    version: str
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise."""
        return f"{self.team or self.org}/{self.model}"

    @property
    def uri(self) -> str:
        """The source as the user would write it."""
        path = "/".join(part for part in (self.org, self.team, self.model) if part)
        return f"ngc://{path}{_suffix(self.version, self.files)}"

    @property
    def fixed_revision(self) -> str | None:
        """Versions of the registry do not change once they are complete."""
        return self.version


@dataclass(frozen=True, slots=True)
class BucketModel:
    """A directory in an object store."""

    scheme: str
    bucket: str
    prefix: str
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What clients call the model unless told otherwise."""
        return self.prefix.rpartition("/")[2] or self.bucket

    @property
    def uri(self) -> str:
        """The source as the user would write it."""
        path = "/".join(part for part in (self.bucket, self.prefix) if part)
        return f"{self.scheme}://{path}{_suffix(None, self.files)}"

    @property
    def fixed_revision(self) -> str | None:
        """Objects may be overwritten at any time."""
        return None


RemoteModel = HubModel | NgcModel | ModelScopeModel | BucketModel
ModelSource = LocalModel | RemoteModel


def store_key(source: RemoteModel) -> str:
    """The name of the source's directory in the store: one for all its revisions."""
    match source:
        case HubModel() | ModelScopeModel():
            place = f"{source.scheme}/{source.repository}"
        case NgcModel():
            place = "/".join(p for p in ("ngc", source.org, source.team, source.model) if p)
        case BucketModel():
            place = "/".join(p for p in (source.scheme, source.bucket, source.prefix) if p)
    key = quote(place.replace("/", "--"), safe="")
    if source.files:
        key += "--" + hashlib.sha256("\0".join(source.files).encode()).hexdigest()[:12]
    return key


def parse_source(reference: str) -> ModelSource:
    """The source behind `NIM_MODEL_PATH` or a model on the command line.

    Raises:
        ModelReferenceError: it is neither a directory nor a URI of a known scheme.
    """
    scheme, separator, rest = reference.partition("://")
    if not separator:
        try:
            return LocalModel(Path(reference).expanduser().absolute())
        except RuntimeError as error:  # ~somebody who does not exist
            raise ModelReferenceError(f"{reference!r} is not understood: {error}") from None
    if scheme not in _FORMS:
        raise ModelReferenceError(
            f"{_shown(reference)!r} is not understood; use "
            f"{', '.join(f'{name}://' for name in _FORMS)} or a directory"
        )
    place, _, query = rest.partition("?")
    source = _parse_place(scheme, place.rstrip("/"), _files(query, reference))
    if source is None:
        raise ModelReferenceError(
            f"{_shown(reference)!r} is not understood; write {_FORMS[scheme]}"
        )
    return source


def _parse_place(scheme: str, place: str, files: tuple[str, ...]) -> ModelSource | None:
    if scheme in {"hf", "modelscope"}:
        found = _REPOSITORY.fullmatch(place)
        kind = HubModel if scheme == "hf" else ModelScopeModel
        return kind(found["repository"], found["revision"], files) if found else None
    if scheme == "ngc":
        found = _NGC.fullmatch(place)
        if found is None:
            return None
        return NgcModel(found["org"], found["team"], found["model"], found["version"], files)
    found = _BUCKET.fullmatch(place)
    return BucketModel(scheme, found["bucket"], found["prefix"] or "", files) if found else None


def _files(query: str, reference: str) -> tuple[str, ...]:
    """The files named behind `?file=`; the whole model without one."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if any(name != "file" for name, _ in pairs) or (query and not pairs):
        raise ModelReferenceError(
            f"{_shown(reference)!r} is not understood; only file= may stand behind ?"
        )
    files = tuple(value for _, value in pairs)
    if any(not is_inside(file) for file in files):
        raise ModelReferenceError(
            f"{_shown(reference)!r} is not understood; file= takes a name inside the model"
        )
    return files


def is_inside(path: str) -> bool:
    """Whether a file's name stays in the directory it is put into: names come from the network."""
    parts = path.split("/")
    return bool(path) and "\\" not in path and "\0" not in path and not {"", ".", ".."} & {*parts}


def _suffix(revision: str | None, files: tuple[str, ...]) -> str:
    query = "&".join(f"file={quote(file)}" for file in files)
    return (f":{revision}" if revision else "") + (f"?{query}" if query else "")


def _shown(reference: str) -> str:
    """The reference without what may be a secret: a password before @, a signature behind ?."""
    scheme, _, rest = reference.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
