"""How a setting is declared: once, with its variables and a sentence."""

from typing import Any

from pydantic import Field


def setting(default: Any, *names: str, description: str, **bounds: Any) -> Any:
    """One setting: `names` are its variables, first the one that wins."""
    return Field(
        default, description=description, json_schema_extra={"names": list(names)}, **bounds
    )


def by_commas(value: object) -> object:
    """A variable's text as a list; empty words are left out."""
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())
