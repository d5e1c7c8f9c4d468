"""A load test as data: who asks, for what, how many at a time, and which limits must hold."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from load.limits import FIGURES

PLACE = Path(__file__).with_name("scenarios")
Kind = Literal["chat", "completions", "messages", "embeddings"]


class ScenarioError(Exception):
    """A scenario that cannot be run; the message says which and why."""


def _is_limit(name: str) -> str:
    bound, _, figure = name.partition("_")
    if bound not in {"max", "min"} or figure not in FIGURES:
        raise ValueError(f"a limit is max_ or min_ and one of {', '.join(FIGURES)}")
    return name


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Data):
    """So many users for so long, reached by so many more or fewer a second."""

    users: PositiveInt
    for_s: PositiveFloat
    users_per_s: PositiveFloat = 10.0


class Scenario(_Data):
    """One load test."""

    about: str = Field(min_length=1)
    users: dict[Kind, PositiveInt] = Field(min_length=1)
    """The weight of each kind."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    prompt_words: PositiveInt = 40
    max_tokens: PositiveInt = 64
    pause_s: NonNegativeFloat = 0.0
    """Between an answer and the user's next request."""
    limits: dict[Annotated[str, AfterValidator(_is_limit)], float] = Field(min_length=1)

    @property
    def takes_s(self) -> float:
        """All stages together."""
        return sum(stage.for_s for stage in self.stages)

    def stage_at(self, now_s: float) -> Stage | None:
        """The stage that is on so long after the start; None when all are over."""
        for stage in self.stages:
            now_s -= stage.for_s
            if now_s < 0:
                return stage
        return None


def named() -> list[str]:
    """The scenarios there are."""
    return sorted(path.stem for path in PLACE.glob("*.toml"))


def load(name: str) -> Scenario:
    """A scenario by its name, or by the path of its file; raises `ScenarioError`."""
    path = Path(name) if name.endswith(".toml") else PLACE / f"{name}.toml"
    try:
        return parse(tomllib.loads(path.read_text()))
    except OSError:
        known = ", ".join(named())
        raise ScenarioError(f"there is no scenario {name}; there are {known}") from None
    except (tomllib.TOMLDecodeError, ScenarioError) as error:
        raise ScenarioError(f"{path}: {error}") from None


def parse(content: dict[str, Any]) -> Scenario:
    """The scenario that this says; raises `ScenarioError` when it is none."""
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
            for found in error.errors(include_url=False)
        ]
        raise ScenarioError("; ".join(wrong)) from None
