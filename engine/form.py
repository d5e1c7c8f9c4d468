"""A request that came as a form, as uploads do: fields in their order, and files."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent, by name; nothing of it has been judged yet."""

    fields: tuple[tuple[str, str], ...]
    files: Mapping[str, bytes]
