"""The file of NIM_MIDDLEWARE_CONFIG_PATH: ASGI middleware by dotted name, with its arguments."""

import logging
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from app.followed_files import FilesUnusableError, content

log = logging.getLogger(__name__)

_DOTTED = r"^[^\W\d]\w*(\.[^\W\d]\w*)+$"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    class_: Annotated[str, Field(alias="class", pattern=_DOTTED)]
    arguments: dict[str, Any] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    middleware: Annotated[list[_Entry], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Maker:
    """One entry of the file: makes a middleware in front of an application."""

    place: str
    """The file, and where in it."""

    name: str
    arguments: dict[str, Any]

    def make(self, app: ASGIApp) -> ASGIApp:
        """Import the class and call it; raises `FilesUnusableError`."""
        module, _, name = self.name.rpartition(".")
        try:
            kind = getattr(import_module(module), name)
        except Exception as error:
            # Of code that is not ours: anything may come, and its author wants to see from where.
            log.exception("middleware.not_imported")
            raise self._wrong("cannot be imported", error) from None
        if not callable(kind):
            raise self._wrong("is not a class")
        try:
            made = kind(app, **self.arguments)
        except Exception as error:
            log.exception("middleware.not_made")
            raise self._wrong("cannot be made", error) from None
        if not callable(made):
            raise self._wrong("makes something that is no ASGI application")
        asgi: ASGIApp = made
        return asgi

    def _wrong(self, what: str, error: Exception | None = None) -> FilesUnusableError:
        why = f": {type(error).__name__}: {error}" if error is not None else ""
        return FilesUnusableError(f"{self.place}: {self.name} {what}{why}")


def read_makers(file: Path) -> list[Maker]:
    """The entries, outermost first; modules beside the file can be imported from now on.

    Raises:
        FilesUnusableError: the file cannot be read, or is not as it should be.
    """
    # Takes 20 ms to import, and few servers have such a file.
    import yaml  # noqa: PLC0415

    try:
        data = yaml.safe_load(content(file))  # JSON is YAML
    except yaml.YAMLError as error:
        sentence = " ".join(str(error).split())
        raise FilesUnusableError(f"{file} is neither YAML nor JSON: {sentence}") from None
    try:
        entries = _File.model_validate(data).middleware
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "all of it"
        raise FilesUnusableError(f"{file}: {place}: {fault['msg']}") from None
    # At the end: what is installed keeps its name.
    sys.path.append(str(file.absolute().parent))
    return [
        Maker(f"{file}: middleware.{index}", entry.class_, entry.arguments)
        for index, entry in enumerate(entries)
    ]
