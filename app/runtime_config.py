"""runtime_config.json beside a model: engine arguments that go with it, below the variables.

Only out of a directory of the user's own: a model that comes over the network must not decide what
code is trusted.
"""

import json
from pathlib import Path
from typing import Any

from app import arguments
from app.arguments import Argument
from app.settings import BadSettingsError

FILE_NAME = "runtime_config.json"
# A key that holds arguments as text; the explicit keys win over it (NIM from 2.0.9 on).
_TEXT = "NIM_PASSTHROUGH_ARGS"


def read_runtime_config(directory: Path) -> list[Argument]:
    """The arguments in the directory's file, none without one.

    Raises:
        BadSettingsError: it is not a JSON object of engine arguments.
    """
    try:
        value = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise BadSettingsError(f"{directory / FILE_NAME} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise BadSettingsError(f"{directory / FILE_NAME} is not a JSON object of engine arguments")
    text = value.pop(_TEXT, "")
    if not isinstance(text, str):
        raise BadSettingsError(f"{directory / FILE_NAME}: {_TEXT} is not a text")
    words = [word for key, item in value.items() for word in _words(key, item)]
    return arguments.merge(
        arguments.from_text(text, FILE_NAME), arguments.from_words(words, FILE_NAME)
    )


def _words(key: str, value: Any) -> list[str]:
    """One key as on a command line; null is as if it were not there."""
    name = key.lstrip("-").replace("_", "-")
    match value:
        case None:
            return []
        case True:
            return [f"--{name}"]
        case False:
            return [f"--no-{name}"]
        case list():
            return [f"--{name}", *(_text(item) for item in value)]
        case _:
            return [f"--{name}={_text(value)}"]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
