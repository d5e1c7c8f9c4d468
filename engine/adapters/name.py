"""What an adapter may be called: a model's name in requests, and a directory's in the root."""

import re

from engine.adapters.refusal import AdapterRefusedError, Reason

# Parts begin with a letter or digit, so none is "..", hidden, or a flag.
_PART = r"[^\W_][\w.:@+ -]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 200


def check_name(name: str) -> None:
    """Raises `AdapterRefusedError` for what is no name."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise AdapterRefusedError(
            Reason.NAME,
            f"{name[:_LONGEST]!r} cannot be an adapter's name: letters, digits and . _ - : @ + are "
            f"allowed, a letter or digit first, and up to {_LONGEST} of them.",
            "lora_name",
        )
