"""Models by their config.json, as published (tests/data/configs)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from profiles.hardware import Hardware
from profiles.memory import ModelFacts, read_model
from profiles.offer import offer
from profiles.profile import Profile
from profiles.selection import Selection, select
from profiles.selection.request import Request

_CONFIGS = Path(__file__).parents[1] / "data" / "configs"


def config_of(model: str) -> dict[str, Any]:
    """Its config.json."""
    config: dict[str, Any] = json.loads((_CONFIGS / f"{model}.json").read_text())
    return config


@cache
def facts_of(model: str) -> ModelFacts:
    """What the planner knows of it."""
    return read_model(config_of(model))


@cache
def profiles_of(
    model: str, hardware: Hardware, *, tp: int | None = None, pp: int | None = None
) -> tuple[Profile, ...]:
    """Everything that is offered for it."""
    config, facts = config_of(model), facts_of(model)
    return offer(config, facts, hardware, name=f"org/{model}", tp=tp, pp=pp)


def selected(model: str, hardware: Hardware, request: Request | None = None) -> Selection:
    """What is chosen for it."""
    request = request or Request()
    profiles = profiles_of(model, hardware, tp=request.tp, pp=request.pp)
    return select(profiles, facts_of(model), hardware, request)
