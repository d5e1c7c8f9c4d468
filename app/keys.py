"""Who may use the server: keys in a file, as hashes; follows the file while serving."""

import hashlib
import logging
import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.budget import Budget
from app.followed_files import FilesUnusableError, FollowedFiles, content
from app.observability.metrics import observe_keys_file

log = logging.getLogger(__name__)

ADMIN = frozenset({"/v1/load_lora_adapter", "/v1/unload_lora_adapter"})
"""Routes that change the server for everybody, and need an admin's."""


class Key(BaseModel):
    """One entry of the file, below `[keys.NAME]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
    """Of the key; whoever reads the file cannot use it."""

    expires: AwareDatetime | None = None
    admin: bool = False
    """Whether it may change the server: load and unload adapters."""

    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[int, Field(gt=0)] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    keys: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")], Key], Field(min_length=1)
    ]


class Holder:
    """Whoever has a key, for as long as the server runs."""

    def __init__(self, name: str, key: Key, salt: bytes) -> None:
        self.name = name
        self.key = key
        # Nobody can tell from how fast an answer comes what others have asked.
        self.cache_salt = hashlib.sha256(salt + name.encode()).hexdigest()
        self.requests = Budget(key.requests_per_minute) if key.requests_per_minute else None
        self.tokens = Budget(key.tokens_per_minute) if key.tokens_per_minute else None

    @property
    def has_expired(self) -> bool:
        """Whether the key's time is over."""
        return self.key.expires is not None and self.key.expires <= datetime.now(UTC)


class KeyRing:
    """All keys there are at the moment."""

    def __init__(self, file: Path) -> None:
        """Raises `FilesUnusableError`."""
        self._file = file
        self._salt = os.urandom(32)
        self._holders: Mapping[str, Holder] = {}
        self._followed = FollowedFiles([file], self._load, observe_keys_file)

    async def follow(self) -> None:
        """Follow the file; never returns."""
        await self._followed.follow()

    def holder(self, secret: bytes) -> Holder | None:
        """Whose key it is.

        The time this takes tells nothing: what is looked up is a hash, which nobody can choose.
        """
        return self._holders.get(hashlib.sha256(secret).hexdigest())

    def _load(self) -> None:
        entries = _read(self._file)
        before = {holder.name: holder for holder in self._holders.values()}
        found: dict[str, Holder] = {}
        for name, key in entries.items():
            if key.sha256 in found:
                other = found[key.sha256].name
                raise FilesUnusableError(f"{self._file}: {other} and {name} have the same key")
            old = before.get(name)
            # What has been spent stays spent, whatever else changes in the file.
            found[key.sha256] = old if old and old.key == key else Holder(name, key, self._salt)
        self._holders = found
        log.info("keys.loaded", extra={"keys": len(found)})


def _read(file: Path) -> Mapping[str, Key]:
    try:
        data: dict[str, Any] = tomllib.loads(content(file).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FilesUnusableError(f"{file} is not TOML: {error}") from None
    try:
        return _File.model_validate(data).keys
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise FilesUnusableError(f"{file}: {place}: {fault['msg']}") from None
