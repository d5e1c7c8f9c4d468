"""adapter_config.json as PEFT writes it, as far as it decides whether the engine may see it."""

import json
from typing import Any

from engine.adapters.refusal import AdapterRefusedError, Reason

_KIND = "LORA"


def check_config(text: bytes, max_rank: int) -> None:
    """Raises `AdapterRefusedError` for a configuration that is none, or of another kind."""
    config = _object(text)
    kind = config.get("peft_type")
    if kind != _KIND:
        raise AdapterRefusedError(
            Reason.CONFIG, f"Its peft_type is {str(kind)[:40]!r}, and only LORA is served."
        )
    if not isinstance(config.get("lora_alpha"), int | float):
        raise _malformed("lora_alpha is not a number")
    if not isinstance(config.get("target_modules"), list | str):
        raise _malformed("target_modules is neither a list nor a pattern")
    pattern = config.get("rank_pattern") or {}
    if not isinstance(pattern, dict):
        raise _malformed("rank_pattern is not an object")
    ranks = [config.get("r"), *pattern.values()]
    if not all(type(rank) is int and rank > 0 for rank in ranks):
        raise _malformed("a rank is not a positive number")
    check_rank(max(ranks), max_rank)


def check_rank(rank: int, max_rank: int) -> None:
    """Raises `AdapterRefusedError` for a rank that the engine has no room for."""
    if rank > max_rank:
        raise AdapterRefusedError(
            Reason.RANK,
            f"Its rank is {rank}, and this server takes {max_rank}; raise NIM_MAX_LORA_RANK.",
        )


def _object(text: bytes) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed("it is not JSON") from None
    if not isinstance(config, dict):
        raise _malformed("it is not a JSON object")
    return config


def _malformed(what: str) -> AdapterRefusedError:
    return AdapterRefusedError(Reason.CONFIG, f"adapter_config.json is malformed: {what}.")
